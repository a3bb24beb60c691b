#include "tests/sim/world.hpp"

#include "tests/sim/faults.hpp"

#include <algorithm>
#include <cstdio>
#include <iterator>

namespace glocal::sim {
namespace {

constexpr duration faults_begin = std::chrono::seconds{2}, faults_end = std::chrono::seconds{9};
/// After everything has healed the slot has so long to be whole again. A view change is a second, a few may be needed.
constexpr duration heal_time = std::chrono::seconds{20};

std::string describe(const store::replica_message& message) {
  struct words {
    std::string operator()(const store::append_message& body) const {
      return (body.entries.empty() ? "heartbeat" : "append " + std::to_string(body.entries.size())) + " after " +
             name(body.prev) + " commit " + std::to_string(body.commit);
    }
    std::string operator()(const store::append_reply& body) const {
      return (body.rejected ? "no, try after " : "has checked ") + std::to_string(body.checked) + " match " +
             std::to_string(body.match);
    }
    std::string operator()(const store::snapshot_message& body) const {
      return "snapshot " + name(body.at) + " part " + std::to_string(body.part) + (body.last ? " last" : "");
    }
    std::string operator()(const store::snapshot_reply& body) const {
      return "snapshot " + name(body.at) + " wants part " + std::to_string(body.next);
    }
    std::string operator()(const store::join_message&) const { return "let me join"; }
    std::string operator()(const store::take_over_message&) const { return "take over"; }
    std::string operator()(const store::stale_reply&) const { return "your epoch is over"; }
  };
  return "epoch " + std::to_string(message.epoch) + " " + std::visit(words{}, message.body);
}

class world {
public:
  explicit world(const settings& what);
  outcome run();

private:
  void finish();
  [[nodiscard]] bool whole() const;
  void judge(outcome& out);

  settings what_;
  dice rolls_;
  scheduler time_;
  network net_;
  sim_register config_;
  store::slot_view last_view_;
  checks must_;
  std::string log_;
  surroundings around_;
  std::vector<std::unique_ptr<node>> nodes_;
  histories seen_;
  std::vector<std::unique_ptr<client>> clients_;
  std::vector<std::unique_ptr<owner>> owners_;
  std::vector<std::unique_ptr<watcher>> watchers_;
  std::optional<faults> faults_;
};

world::world(const settings& what)
    : what_{what}, rolls_{what.seed}, net_{time_, rolls_}, config_{time_, rolls_}, around_{time_, rolls_, net_, config_,
                                                                                           must_, {},     {},   {},
                                                                                           {},    {}} {
  // Small, so that what is rare with the real numbers happens in every run.
  around_.options.retained_entries = 20;
  around_.options.watches.history_changes = 60;
  around_.options.message_entries = 16;
  around_.options.message_bytes = 1500;
  around_.log = [this](const std::string& text) {
    if (!what_.verbose)
      return;
    char at[32];
    std::snprintf(at, sizeof at, "%10.6f  ", static_cast<double>(time_.now().count()) / 1e6);
    log_ += at + text + '\n';
  };
  around_.post = [this](std::size_t from, const store::replica_message& message) {
    if (what_.verbose)
      around_.log(name(message.from) + " -> " + name(message.to) + ": " + describe(message));
    for (std::size_t to = 0; to < nodes_.size(); ++to)
      if (nodes_[to]->name() == message.to.node)
        net_.send(from, to, true, [this, to, message] { nodes_[to]->receive(message); });
  };
  around_.durable_copies = [this](const store::log_position& at) {
    return static_cast<std::size_t>(
        std::count_if(nodes_.begin(), nodes_.end(), [&](const auto& each) { return each->disk().held(at); }));
  };
  around_.lease_expired = [this](store::lease_id lease) {
    for (const auto& each : owners_)
      each->expired(lease);
  };
  config_.on_change = [this](const store::register_value& value) {
    std::string members;
    for (const auto& who : value.view.members)
      members += " " + name(who);
    around_.log("register: version " + std::to_string(value.version) + " epoch " + std::to_string(value.view.epoch) +
                " primary " + name(value.view.primary) + " members" + members);
    const auto before = std::exchange(last_view_, value.view);
    // Nothing fails here: whoever goes, another one came first.
    if (what_.scenario == "placement" && before.members.size() >= 3 && value.view.members.size() < 3)
      must_.violation("a move left the slot with " + std::to_string(value.view.members.size()) + " copies");
    if (what_.scenario == "joiners" && faults_->ambush(before, value.view))
      return;
    // A hint: it may come late, or not at all.
    for (std::size_t i = 0; i < nodes_.size(); ++i)
      if (!config_.cut.contains(i) && rolls_.chance(0.7))
        time_.after(rolls_.between(duration{500}, duration{20'000}), [this, i, value] { nodes_[i]->hear_of(value); });
  };
  const auto count = 3 + rolls_.below(3);
  for (std::size_t i = 0; i < count; ++i)
    nodes_.push_back(std::make_unique<node>(around_, i));
  const cluster reach{around_, nodes_};
  for (std::size_t i = 1; i <= 4; ++i)
    clients_.push_back(std::make_unique<client>(reach, i, seen_));
  for (std::size_t i = 11; i <= 12; ++i)
    owners_.push_back(std::make_unique<owner>(reach, i));
  watchers_.push_back(std::make_unique<watcher>(reach, 21, store::table::paths, ""));
  watchers_.push_back(std::make_unique<watcher>(reach, 22, store::table::flows, "f1"));
  faults_.emplace(around_, nodes_);
}

outcome world::run() {
  for (auto& each : nodes_)
    each->start();
  faults_->place({{"a", "b", "c"}});
  for (auto& each : clients_)
    each->run();
  for (auto& each : owners_)
    each->run();
  for (auto& each : watchers_)
    each->run();
  time_.run_until(faults_begin);

  std::vector<fault> kinds;
  if (what_.scenario == "mixed") {
    for (std::size_t i = 0; i < fault_count; ++i)
      if (rolls_.chance(0.35))
        kinds.push_back(static_cast<fault>(i));
  } else {
    for (const auto& each : all_scenarios())
      if (each.name == what_.scenario)
        kinds = each.faults;
  }
  if (what_.scenario == "outage") {
    config_.down = true;
    around_.log("fault: the register is down");
  }
  const double pace = rolls_.real(0.3, 1.5);
  while (time_.now() < faults_end && must_.violations().empty()) {
    const auto pause = rolls_.between(duration{100'000}, duration{900'000});
    time_.run_until(std::min(
        faults_end, time_.now() + duration{static_cast<std::int64_t>(static_cast<double>(pause.count()) * pace)}));
    if (!kinds.empty())
      faults_->inject(kinds[rolls_.below(kinds.size())]);
  }
  outcome out;
  if (must_.violations().empty())
    finish();
  judge(out);
  return out;
}

void world::finish() {
  around_.log("everything heals");
  faults_->heal();
  const auto until = time_.now() + heal_time;
  const auto step = duration{100'000};
  while (!whole() && time_.now() < until)
    time_.run_until(time_.now() + step);
  if (!whole()) {
    std::string state;
    for (const auto& each : nodes_)
      if (const auto* process = each->current())
        state += "; " + name(process->self()) + (process->serving() ? " serves" : " does not serve") + " epoch " +
                 std::to_string(process->epoch()) + " log " + name(process->log().last()) + " commit " +
                 std::to_string(process->commit_index());
    return must_.violation("20 s after everything healed the slot is not whole" + state);
  }
  for (auto& each : clients_)
    each->stop();
  for (auto& each : owners_)
    each->stop();
  time_.run_until(time_.now() + std::chrono::seconds{2});
  clients_.front()->read_all();
  for (int i = 0; i < 100 && !clients_.front()->finished(); ++i)
    time_.run_until(time_.now() + step);
  if (!clients_.front()->finished())
    return must_.violation("reads do not end in a healthy cluster");
  // Leases of owners that stopped must end, and all replicas must come to the same state.
  time_.run_until(time_.now() + std::chrono::seconds{5});
  for (const auto& each : nodes_) {
    const auto* process = each->current();
    if (process == nullptr || !config_.value().view.has(process->self()))
      continue;
    if (process->applied().index != must_.last_index())
      must_.violation(name(process->self()) + " has applied " + std::to_string(process->applied().index) + " of " +
                      std::to_string(must_.last_index()) + " entries although nothing happens any more");
    if (!process->table().leases().empty())
      must_.violation("a lease whose owner is gone does not end at " + name(process->self()));
  }
}

bool world::whole() const {
  const auto& view = config_.value().view;
  std::vector<store::node_name> members;
  for (const auto& who : view.members)
    members.push_back(who.node);
  const auto& placement = faults_->placement();
  if (placement.lead && view.primary.node != placement.desired.front())
    return false;
  auto desired = placement.desired;
  std::sort(desired.begin(), desired.end());
  if (members != desired)
    return false;
  return std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& each) {
    const auto* process = each->current();
    return process != nullptr && process->serving() && process->self() == view.primary &&
           process->epoch() == view.epoch;
  });
}

void world::judge(outcome& out) {
  if (what_.scenario == "calm" || what_.scenario == "outage" || what_.scenario == "placement")
    for (const auto& each : clients_)
      if (each->longest_gap() > std::chrono::milliseconds{1500})
        must_.violation("no write was acknowledged to a client for " + std::to_string(each->longest_gap().count()) +
                        " us although no store node failed");
  for (const auto& [key, operations] : seen_) {
    out.operations += operations.size();
    const auto found = check_linearizable(operations);
    out.undecided += found == verdict::undecided;
    if (found != verdict::violation)
      continue;
    auto shortest = first_violation(operations);
    std::erase_if(shortest, [](const auto& op) { return op.refused; });
    constexpr std::ptrdiff_t enough = 25;
    shortest.erase(shortest.begin(), shortest.end() - std::min(enough, std::ssize(shortest)));
    must_.violation("key " + key + " is not linearizable; the last of what was seen:\n" + describe(shortest));
  }
  for (const auto& each : clients_) {
    out.acknowledged += each->acknowledged();
    out.longest_gap = std::max(out.longest_gap, each->longest_gap());
  }
  out.violations = must_.violations();
  out.trace = must_.trace();
  out.steps = time_.steps();
  out.views = config_.value().version;
  out.log = std::move(log_);
}

} // namespace

outcome run(const settings& what) {
  return world{what}.run();
}

} // namespace glocal::sim
