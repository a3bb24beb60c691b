#include "tests/sim/faults.hpp"

#include <algorithm>

namespace glocal::sim {
namespace {

/// Networks of clients begin here.
constexpr std::size_t first_client = 100, last_client = 130;

} // namespace

std::string_view name(fault what) noexcept {
  static constexpr std::string_view names[fault_count] = {
      "crash",      "crash_all",  "pause",           "partition",        "one_way",      "bridge",
      "flapping",   "lossy",      "slow_network",    "slow_disk",        "broken_disk",  "full_disk",
      "wiped_disk", "clock_jump", "register_outage", "register_replies", "register_cut", "placement"};
  return names[static_cast<std::size_t>(what)];
}

std::vector<scenario> all_scenarios() {
  std::vector<scenario> out{
      {"mixed", {}},
      {"calm", {}},
      {"outage", {}},
      // Members come and go while the register's answers are lost and those who come are slow.
      {"joiners",
       {fault::register_replies, fault::slow_disk, fault::slow_disk, fault::crash, fault::pause, fault::one_way,
        fault::placement}},
      // Nodes join, leave and pass the primary on while others fail.
      {"moves",
       {fault::placement, fault::placement, fault::placement, fault::crash, fault::pause, fault::partition,
        fault::one_way, fault::register_replies, fault::register_cut, fault::slow_disk}}};
  for (std::size_t i = 0; i < fault_count; ++i)
    out.push_back({std::string{name(static_cast<fault>(i))}, {static_cast<fault>(i)}});
  return out;
}

void faults::later(duration delay, std::function<void()> what) {
  world_.time.after(delay, [this, round = round_, what = std::move(what)] {
    if (round == round_)
      what();
  });
}

std::size_t faults::victim() {
  if (world_.rolls.chance(0.5))
    for (std::size_t i = 0; i < nodes_.size(); ++i)
      if (nodes_[i]->name() == world_.config.value().view.primary.node)
        return i;
  return world_.rolls.below(nodes_.size());
}

void faults::place(store::placement_event where) {
  placement_ = std::move(where);
  const auto number = ++placements_;
  std::string names;
  for (const auto& each : placement_.desired)
    names += " " + each;
  world_.log("placement:" + names + (placement_.lead ? ", the first leads" : ""));
  // Chance of its own, so that runs without moves are what they were before there were any.
  dice rolls{number * 1'000'003 + static_cast<std::uint64_t>(world_.time.now().count())};
  for (auto& each : nodes_) {
    const auto late = number == 1 || healed_ ? duration{0} : rolls.between(duration{0}, duration{600'000});
    world_.time.after(late, [this, number, &each] {
      if (number == placements_)
        each->place(placement_);
    });
  }
}

bool faults::may_wipe(std::size_t which) const {
  const auto& members = world_.config.value().view.members;
  if (world_.config.under_way(which))
    return false; // it may be about to make itself the only member
  const auto intact = std::count_if(members.begin(), members.end(), [&](const auto& who) {
    return std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& each) {
      return each->name() == who.node && each->disk().incarnation == who.incarnation && each != nodes_[which];
    });
  });
  // Two, so that what is under way of the others (a drop of one of them) can't leave nobody either.
  return intact >= 2;
}

void faults::crash(std::size_t which, bool wiped) {
  auto& target = *nodes_[which];
  if (!target.up() || (wiped && !may_wipe(which)))
    return;
  world_.log("fault: " + target.name() + (wiped ? " loses its disk" : " crashes"));
  if (wiped)
    target.wipe();
  else
    target.crash();
  later(length(50, 2500), [&target] {
    if (!target.up())
      target.start();
  });
}

void faults::cut(const std::vector<std::pair<std::size_t, std::size_t>>& links, duration for_long) {
  for (const auto& [from, to] : links)
    world_.net.cut(from, to);
  later(for_long, [this, links] {
    for (const auto& [from, to] : links)
      world_.net.mend(from, to);
  });
}

void faults::inject(fault what) {
  auto& rolls = world_.rolls;
  const auto which = victim();
  auto& target = *nodes_[which];
  world_.must.note(static_cast<std::uint64_t>(what));
  world_.log("fault: " + std::string{name(what)} + " at " + target.name());
  std::vector<std::pair<std::size_t, std::size_t>> links;
  const auto both_ways = [&](std::size_t a, std::size_t b) {
    links.emplace_back(a, b);
    links.emplace_back(b, a);
  };
  switch (what) {
  case fault::crash: return crash(which, false);
  case fault::crash_all:
    for (std::size_t i = 0; i < nodes_.size(); ++i)
      crash(i, false);
    return;
  case fault::pause:
    if (!target.up() || target.paused())
      return;
    target.pause();
    return later(length(100, 3000), [&target] { target.resume(); });
  case fault::partition: {
    // Two sides; clients and the register fall to one of them or see both.
    const auto side = rolls.next();
    for (std::size_t a = 0; a < nodes_.size(); ++a)
      for (std::size_t b = a + 1; b < nodes_.size(); ++b)
        if (((side >> a) & 1) != ((side >> b) & 1))
          both_ways(a, b);
    for (auto client = first_client; client < last_client; ++client)
      for (std::size_t a = 0; a < nodes_.size(); ++a)
        if (((side >> client % 32 >> 16) & 1) != ((side >> a) & 1) && rolls.chance(0.5))
          both_ways(client, a);
    return cut(links, length(200, 4000));
  }
  case fault::one_way:
    for (std::size_t a = 0; a < nodes_.size(); ++a)
      if (a != which)
        links.emplace_back(rolls.chance(0.5) ? std::pair{a, which} : std::pair{which, a});
    return cut(links, length(200, 4000));
  case fault::bridge:
    // Only `which` sees everybody.
    for (std::size_t a = 0; a < nodes_.size(); ++a)
      for (std::size_t b = a + 1; b < nodes_.size(); ++b)
        if (a != which && b != which && (a + b) % 2 == 1)
          both_ways(a, b);
    return cut(links, length(200, 4000));
  case fault::flapping:
    for (std::size_t a = 0; a < nodes_.size(); ++a)
      if (a != which)
        both_ways(a, which);
    for (int i = 0; i < 6; ++i)
      later(i * length(150, 700), [this, links, many = length(50, 700)] { cut(links, many); });
    return;
  case fault::lossy:
    world_.net.loss = rolls.real(0.01, 0.3);
    world_.net.repeat = rolls.real(0, 0.3);
    return later(length(300, 4000), [this] { world_.net.loss = world_.net.repeat = 0; });
  case fault::slow_network:
    world_.net.slowest = length(20, 1500);
    return later(length(300, 4000), [this] { world_.net.slowest = network::usual; });
  case fault::slow_disk:
    target.disk().slowest = length(50, 1500);
    return later(length(300, 4000), [&target] { target.disk().slowest = duration{2000}; });
  case fault::broken_disk: target.disk().broken = true; return;
  case fault::full_disk:
    target.disk().full = true;
    return later(length(300, 4000), [&target] { target.disk().full = false; });
  case fault::wiped_disk: return crash(which, true);
  case fault::clock_jump: {
    // Each takes up to max_tick less a tick from a lease; what owners allow for (client.cpp) covers three.
    const auto last = jumped_.find(which);
    if (last != jumped_.end() && world_.time.now() - last->second < std::chrono::milliseconds{1200})
      return;
    jumped_[which] = world_.time.now();
    return target.jump(length(1, 60'000));
  }
  case fault::register_outage:
    world_.config.down = true;
    return later(length(200, 4000), [this] { world_.config.down = false; });
  case fault::register_replies:
    world_.config.lost_replies = rolls.real(0.2, 0.9);
    world_.config.late_calls = rolls.real(0, 0.7);
    return later(length(500, 4000), [this] { world_.config.lost_replies = world_.config.late_calls = 0; });
  case fault::register_cut:
    world_.config.cut.insert(which);
    return later(length(500, 4000), [this, which] { world_.config.cut.erase(which); });
  case fault::placement: return move();
  }
}

/// A node joins and another one leaves, where there are more than three.
void faults::move() {
  auto next = placement_.desired;
  if (nodes_.size() > 3) {
    for (auto& place : next)
      if (world_.rolls.chance(0.4)) {
        const auto& other = nodes_[world_.rolls.below(nodes_.size())]->name();
        if (std::find(next.begin(), next.end(), other) == next.end())
          place = other;
      }
  }
  std::rotate(next.begin(), next.begin() + static_cast<std::ptrdiff_t>(world_.rolls.below(next.size())), next.end());
  place({std::move(next), true, world_.rolls.below(4) != 0});
}

bool faults::ambush(const store::slot_view& before, const store::slot_view& now) {
  const auto at = [&](const store::member& who) {
    return static_cast<std::size_t>(
        std::find_if(nodes_.begin(), nodes_.end(), [&](const auto& each) { return each->name() == who.node; }) -
        nodes_.begin());
  };
  const auto joiner =
      std::find_if(now.members.begin(), now.members.end(), [&](const auto& who) { return !before.has(who); });
  if (healed_ || ambushed_ || ambushes_left_ == 0 || now.members.size() < 3 || joiner == now.members.end() ||
      before.primary != now.primary || world_.rolls.chance(0.5))
    return false;
  ambushed_ = true;
  --ambushes_left_;
  world_.log("fault: ambush of " + sim::name(now.primary) + " as " + sim::name(*joiner) + " is let in");
  world_.config.lose_reply = true;
  const auto primary = at(now.primary), joined = at(*joiner);
  std::vector<std::pair<std::size_t, std::size_t>> links{{primary, joined}, {joined, primary}};
  for (const auto& who : now.members)
    if (const auto other = at(who); other != primary && other != joined) {
      links.emplace_back(other, joined);
      links.emplace_back(joined, other);
      world_.config.cut.insert(other);
      later(length(1400, 1800), [this, other] { world_.config.cut.erase(other); });
    }
  cut(links, length(1400, 1800));
  auto& target = *nodes_[primary];
  later(length(20, 700), [this, &target] {
    if (target.up() && !target.paused())
      target.pause();
    later(length(1500, 3000), [this, &target] {
      target.resume();
      ambushed_ = false;
    });
  });
  return true;
}

void faults::heal() {
  ++round_;
  healed_ = true;
  world_.net.heal();
  world_.config.heal();
  for (auto& each : nodes_) {
    each->disk().slowest = duration{2000};
    if (each->paused())
      each->resume();
    const bool full = std::exchange(each->disk().full, false);
    if (full || each->disk().broken || !each->up()) {
      each->crash();
      each->start();
    }
  }
}

} // namespace glocal::sim
