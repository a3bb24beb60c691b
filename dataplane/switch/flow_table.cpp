#include "dataplane/switch/flow_table.hpp"

namespace glocal::dataplane {
namespace {

/// Flows compared before one is given up: the best of sixteen is among the oldest fifth with 97 % probability.
constexpr std::uint32_t victims_compared = 16;

} // namespace

flow_table::flow_table(const switch_config& config, counters& counted, flow_file& file)
    : counted_{counted}, file_{file}, live_{file.live()}, identities_{config.flows}, places_{config.flows *
                                                                                             config.entries_per_flow},
      first_place_(config.flows, none), entries_{config.flows * config.entries_per_flow, config.hash_key},
      timers_{config.flows, static_cast<std::uint64_t>(config.timer_tick.count())} {}

std::uint32_t flow_table::find_connection(std::uint32_t tenant, const five_tuple& tuple) const noexcept {
  return find({place::connection(tenant), tuple.canonical()}).flow;
}

std::uint32_t flow_table::create(flow::kind what, std::uint32_t tenant, const five_tuple& forward,
                                 std::uint64_t now_ns) noexcept {
  const auto index = identities_.acquire();
  if (index != none) {
    auto& made = *std::construct_at(&live_[index]);
    made.what = what;
    made.last_used_ns = now_ns;
    auto& identity = identities_[index];
    identity.tenant = tenant;
    identity.forward = forward;
    identity.created_ns = now_ns;
    first_place_[index] = none;
  }
  return index;
}

std::uint32_t flow_table::find_victim() noexcept {
  auto best = none;
  bool best_is_scan = false;
  for (std::uint32_t i = 0; i < victims_compared && i < high_water(); ++i) {
    if (++victim_hand_ >= high_water())
      victim_hand_ = 0;
    const auto& candidate = live_[victim_hand_];
    const bool may_go = candidate.what == flow::kind::by_eid || candidate.what == flow::kind::refused ||
                        (candidate.what == flow::kind::on_path && !identities_[victim_hand_].owner);
    if (!may_go)
      continue;
    const bool is_scan = candidate.packets <= 1;
    if (best == none || is_scan > best_is_scan ||
        (is_scan == best_is_scan && candidate.last_used_ns < live_[best].last_used_ns)) {
      best = victim_hand_;
      best_is_scan = is_scan;
    }
  }
  return best;
}

match_key flow_table::key_of(std::uint32_t flow, const entry_place& at) const noexcept {
  const auto& identity = identities_[flow];
  if (at.where == place::connection(identity.tenant))
    return {at.where.word(), identity.forward.canonical()};
  return {at.where.word(), at.step.way == direction::forward ? identity.forward : identity.forward.reversed()};
}

bool flow_table::name_connection(std::uint32_t flow) noexcept {
  return add_entry(flow, place::connection(identities_[flow].tenant), {});
}

bool flow_table::add_entry(std::uint32_t flow, place where, path_step step) noexcept {
  const auto index = places_.acquire();
  if (index == none)
    return false;
  places_[index] = {where, step, first_place_[flow]};
  const auto note = static_cast<std::uint16_t>(static_cast<unsigned>(step.way) << 8 | step.position);
  if (!entries_.insert(key_of(flow, places_[index]), flow, note)) {
    places_.release(index);
    return false;
  }
  ++changes_;
  first_place_[flow] = index;
  if (where.is_port())
    counted_.ports[where.port()].flows_now.add();
  return true;
}

bool flow_table::enters_by(std::uint32_t flow, port_id port) const noexcept {
  for (auto index = first_place_[flow]; index != none; index = places_[index].next)
    if (places_[index].where.port() == port)
      return true;
  return false;
}

void flow_table::erase_entry(std::uint32_t flow, std::uint32_t index) noexcept {
  const auto& gone = places_[index];
  if (gone.where.is_port())
    counted_.ports[gone.where.port()].flows_now.decrement();
  entries_.erase(key_of(flow, gone));
  ++changes_;
  places_.release(index);
}

void flow_table::clear_entries(std::uint32_t flow) noexcept {
  auto next = std::exchange(first_place_[flow], none);
  while (next != none) {
    const auto index = next;
    next = places_[index].next;
    if (places_[index].where == place::connection(identities_[flow].tenant)) {
      places_[index].next = first_place_[flow];
      first_place_[flow] = index;
    } else
      erase_entry(flow, index);
  }
}

void flow_table::count_on(std::uint32_t flow, std::uint16_t account) noexcept {
  auto& counted = live_[flow];
  if (counted.account == account)
    return;
  if (counted.account != flow::no_account)
    counted_.paths[counted.account].flows_now.decrement();
  counted.account = account;
  counted_.paths[account].flows_now.add();
  counted_.paths[account].flows.add();
}

void flow_table::remove(std::uint32_t flow) noexcept {
  file_.erase_flow(flow);
  timers_.cancel(flow);
  if (const auto account = live_[flow].account; account != flow::no_account)
    counted_.paths[account].flows_now.decrement();
  for (auto next = std::exchange(first_place_[flow], none); next != none;) {
    const auto index = next;
    next = places_[index].next;
    erase_entry(flow, index);
  }
  if (identities_[flow].is_restored)
    counted_.flows_waiting.decrement();
  std::construct_at(&live_[flow]); // so that a scan up to high_water() tells free flows from used ones
  identities_.release(flow);
  ++changes_;
}

void flow_table::save(std::uint32_t flow) noexcept {
  file_.write_flow(flow, identities_[flow], live_[flow].what, live_[flow].account);
}

bool flow_table::restore(std::uint32_t index, const flow_file::stored_flow& stored, std::uint32_t path_slot,
                         std::uint64_t now_ns) noexcept {
  const auto former = live_[index];
  const auto& identity = stored.identity;
  // Times of another boot were ruled out; these are still those of a file.
  const bool is_past = former.last_used_ns <= now_ns && identity.created_ns <= now_ns;
  if (!is_past || now_ns - former.last_used_ns >= identity.idle_ns ||
      find_connection(identity.tenant, identity.forward) != none)
    return false;
  auto& made = *std::construct_at(&live_[index]);
  made.what = stored.what;
  made.last_used_ns = former.last_used_ns;
  made.packets = former.packets;
  made.bytes = former.bytes;
  made.path_slot = path_slot;
  identities_[index] = identity;
  if (!name_connection(index))
    return false;
  identities_[index].is_restored = true;
  counted_.flows_waiting.add();
  if (identity.owner && stored.account != flow::no_account)
    count_on(index, stored.account);
  schedule(index);
  return true;
}

void flow_table::schedule(std::uint32_t flow, std::uint64_t at_ns) noexcept {
  const auto& identity = identities_[flow];
  const auto sum = [](std::uint64_t since, std::uint64_t wait) {
    return since > UINT64_MAX - wait ? UINT64_MAX : since + wait;
  };
  auto due = std::min(at_ns, sum(live_[flow].last_used_ns, identity.idle_ns));
  if (identity.hard_ns != 0)
    due = std::min(due, sum(identity.created_ns, identity.hard_ns));
  timers_.schedule(flow, due);
}

} // namespace glocal::dataplane
