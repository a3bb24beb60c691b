// Flows that are programmed and not published: decided while the store did not answer (affinity `provisional`), or lost
// from the store with the edge's lease. They are offered to it until it answers; the first published decision wins, and
// a flow whose decision lost moves to the winner's path.

#include "actors/edge/service_module.hpp"

#include "actors/model/codec.hpp"
#include "actors/model/keys.hpp"
#include "base/hash.hpp"
#include "base/log.hpp"
#include "dataplane/wire/drop_reason.hpp"
#include "runtime/atoms.hpp"

#include <algorithm>
#include <utility>

namespace glocal::actors {
namespace {

/// Pause before the store is asked again.
constexpr std::chrono::milliseconds retry_pause{500};
/// Flows under way to the store at once: a few of the client's batches to each slot.
constexpr std::size_t publication_window = 1024;

} // namespace

bool service_module::decides_alone() const noexcept {
  return settings_.service.affinity == model::affinity::provisional;
}

/// Programs the flow now and publishes it when the store is back. Other edges resolve paths in the store, so only a
/// path that was published is of use: where the chosen chain has none, another of the service's is taken.
void service_module::decide_provisionally(proposed_flow flow, program_flows& answers) {
  if (!std::exchange(is_cut_off_, true)) {
    spdlog::warn("the store does not answer: service {} decides provisionally", settings_.service.name);
    last_failure_ = clock().now();
  }
  const auto* path = [&] {
    const auto known = paths_.find(flow.chain);
    return known != paths_.end() ? &*known : usable_path(flow.key);
  }();
  if (path == nullptr || path->first != flow.chain)
    chooser_.forget(flow.chain);
  const model::flow_record record{settings_.service.name, settings_.edge, path == nullptr ? 0 : path->second,
                                  flow.packet.tuple, flow.packet.tenant};
  if (path == nullptr || !remember(flow.key, record, 0)) {
    ++tally_.store_failures;
    answers.refusals.push_back(refusal(flow.packet, dataplane::drop_reason::store_unavailable));
    return;
  }
  ++tally_.provisional;
  if (flow.packet.trace != 0)
    note(flow.packet, "provisional", {{"path", model::keys::path(path->second)}});
  answers.paths.push_back({path->second, settings_.service.name, path->first});
  answers.installs.push_back(installation(record, flow.packet.hold));
  await_publication(flow.key, flows_.at(flow.key));
}

/// A published path of which all instances are still candidates, the same for the same flow.
const std::pair<const std::vector<std::string>, model::path_id>*
service_module::usable_path(const std::string& key) const {
  std::vector<const std::pair<const std::vector<std::string>, model::path_id>*> usable;
  for (const auto& path : paths_) {
    const bool is_up = path.first.size() == settings_.service.chain.size() &&
                       std::equal(path.first.begin(), path.first.end(), settings_.service.chain.begin(),
                                  [&](const std::string& instance, const std::string& vnf_class) {
                                    const auto known = digests_.find(vnf_class);
                                    return known != digests_.end() &&
                                           std::find(known->second.candidates.begin(), known->second.candidates.end(),
                                                     instance) != known->second.candidates.end();
                                  });
    if (is_up)
      usable.push_back(&path);
  }
  return usable.empty() ? nullptr : usable[hash_text(key, settings_.seed) % usable.size()];
}

/// The edge's lease ran out and took all its flows from the store.
void service_module::publish_again() {
  for (auto& [key, flow] : flows_)
    if (!flow.awaits_publication) {
      flow.awaits_publication = true;
      unpublished_.push_back(key);
    }
  publish_waiting();
}

void service_module::await_publication(const std::string& key, remembered_flow& flow) {
  flow.awaits_publication = true;
  unpublished_.push_back(key);
  // What is under way says when the store is back.
  if (publishing_ == 0)
    publish_later();
}

void service_module::publish_later() {
  if (!std::exchange(publishes_later_, true))
    delayed_send(this, retry_pause, runtime::tick_atom_v);
}

void service_module::publish_waiting() {
  publishes_later_ = false;
  while (publishing_ < publication_window && !unpublished_.empty()) {
    auto key = std::move(unpublished_.front());
    unpublished_.pop_front();
    const auto known = flows_.find(key);
    if (known == flows_.end() || !known->second.awaits_publication) // it has ended
      continue;
    ++publishing_;
    auto value = model::encode(known->second.record);
    store_.put_if_absent(store::table::flows, key, std::move(value), settings_.lease,
                         [this, key](const expected<store::op_result, store::store_error>& result) {
                           --publishing_;
                           settle(key, result);
                         });
  }
}

void service_module::settle(const std::string& key, const expected<store::op_result, store::store_error>& result) {
  const auto known = flows_.find(key);
  const bool is_answered = result && (result->ok() || result->code == store::op_code::conflict) && result->found;
  if (!is_answered) {
    // Also no_such_lease: the controller is granting it again.
    if (known != flows_.end())
      unpublished_.push_back(key);
    last_failure_ = clock().now();
    return publish_later();
  }
  // For as long as a failure takes to be noticed, and another attempt to be made, there was none.
  if (is_cut_off_ && clock().now() - last_failure_ > settings_.decision_deadline + retry_pause) {
    is_cut_off_ = false;
    spdlog::info("the store answers again: service {} publishes before it programs", settings_.service.name);
  }
  if (known == flows_.end()) {
    // The flow ended while it was under way.
    if (result->ok())
      store_.execute({store::erase_op{store::table::flows, key, result->found->version}}, [](const auto&) {});
  } else {
    known->second.awaits_publication = false;
    const auto winner = model::decode<model::flow_record>(result->found->value);
    if (!winner)
      note_error("a flow's record can't be read");
    else if (winner->initiator == settings_.edge && winner->path == known->second.record.path)
      known->second.version = result->found->version;
    else
      yield(key, *winner, result->found->version);
  }
  if (!publishes_later_)
    publish_waiting();
}

/// Another decision was published first: the flow moves to its path.
void service_module::yield(const std::string& key, const model::flow_record& winner, store::revision version) {
  ++tally_.yielded;
  if (const auto path = path_of(flows_.at(key).record.path))
    chooser_.forget(path->instances);
  program_flows answers;
  answers.installs.push_back(installation(winner, dataplane::no_hold));
  // The switch holds the flow as this edge's own, and moves such by its owner's word only.
  answers.installs.back().owner = true;
  answer(std::move(answers));
  if (winner.initiator == settings_.edge)
    flows_.insert_or_assign(key, remembered_flow{winner, version});
  else
    flows_.erase(key);
}

} // namespace glocal::actors
