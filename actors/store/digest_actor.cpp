#include "actors/store/digest_actor.hpp"

#include "actors/model/codec.hpp"
#include "actors/model/keys.hpp"
#include "actors/policy/deal.hpp"
#include "base/hash.hpp"
#include "store/slots.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace glocal::actors {

using store::watch_event;

digest_actor::digest_actor(caf::actor_config& config, digest_settings settings, caf::actor client)
    : runtime::observed_actor{config, "digests", "store/digests"}, settings_{std::move(settings)}, store_{*this,
                                                                                                          std::move(
                                                                                                              client)} {
}

caf::behavior digest_actor::make_behavior() {
  (void)store_.watch(store::table::instances, "", [this](const watch_event& event) { on_instance(event); });
  (void)store_.watch(store::table::status, "", [this](const watch_event& event) { on_status(event); });
  return caf::message_handler{[this](runtime::tick_atom) { publish(); }}.or_else(store_.handler());
}

void digest_actor::on_status(const watch_event& event) {
  if (event.what != watch_event::kind::put && event.what != watch_event::kind::erase)
    return;
  const auto vnf_class = event.entry.key.substr(0, event.entry.key.find('/'));
  if (!ours(vnf_class))
    return;
  auto& instances = classes_[vnf_class].instances;
  if (event.what == watch_event::kind::erase) {
    instances.erase(event.entry.key);
    return mark(vnf_class);
  }
  auto status = model::decode<model::instance_status>(event.entry.value);
  if (!status)
    return note_error("a malformed status under " + event.entry.key);
  const auto known = instances.find(event.entry.key);
  const auto age = [](const model::instance_status& each) { return std::tie(each.incarnation, each.sequence); };
  if (known != instances.end() && age(*status) < age(known->second))
    return;
  instances.insert_or_assign(event.entry.key, std::move(*status));
  mark(vnf_class);
}

void digest_actor::on_instance(const watch_event& event) {
  if (event.what != watch_event::kind::put && event.what != watch_event::kind::erase)
    return;
  std::string vnf_class;
  if (event.what == watch_event::kind::erase) {
    const auto gone = instances_.extract(event.entry.key);
    if (gone)
      vnf_class = gone.mapped().vnf_class;
  } else if (auto instance = model::decode<model::vnf_instance>(event.entry.value)) {
    vnf_class = instance->vnf_class;
    instances_.insert_or_assign(event.entry.key, std::move(*instance));
  } else {
    note_error("a malformed instance under " + event.entry.key);
  }
  if (classes_.contains(vnf_class))
    mark(vnf_class);
}

void digest_actor::mark(const std::string& vnf_class) {
  dirty_.insert(vnf_class);
  if (std::exchange(publish_pending_, true))
    return;
  delayed_send(this, classes_.at(vnf_class).written.empty() ? settings_.first_pace : settings_.pace,
               runtime::tick_atom_v);
}

void digest_actor::publish() {
  publish_pending_ = false;
  for (const auto& vnf_class : std::exchange(dirty_, {}))
    publish(vnf_class, classes_.at(vnf_class));
}

void digest_actor::publish(const std::string& vnf_class, class_state& state) {
  const auto hands = digests_of(vnf_class, state);
  ++state.deals;
  const auto done = [this, vnf_class](const expected<store::op_result, store::store_error>& done) {
    if (done)
      return;
    ++failures_;
    note_error("digest of " + vnf_class + ": " + std::string{store::name(done.error())});
    classes_.at(vnf_class).written.clear();
    mark(vnf_class);
  };
  // The first hand says how many there are, so the others are there before it and go after it.
  const auto were = state.written.size();
  state.written.resize(std::max(were, hands.size()));
  for (std::size_t hand = hands.size(); hand-- > 0;) {
    auto encoded = model::encode(hands[hand]);
    if (encoded == state.written[hand])
      continue;
    state.written[hand] = encoded;
    ++written_;
    store_.put(store::table::digests, model::keys::digest(vnf_class, hands[hand].hand), std::move(encoded), 0, done);
  }
  for (std::size_t hand = hands.size(); hand < were; ++hand)
    store_.execute(
        {store::erase_op{store::table::digests, model::keys::digest(vnf_class, static_cast<std::uint32_t>(hand)), {}}},
        [](const auto&) {});
  state.written.resize(hands.size());
}

std::vector<model::class_digest> digest_actor::digests_of(const std::string& vnf_class,
                                                          const class_state& state) const {
  std::vector<model::class_digest::candidate> all;
  bool capacities_known = true;
  for (const auto& [key, status] : state.instances) {
    const auto place = instances_.find(model::keys::instance(status.instance));
    if (!status.healthy || place == instances_.end())
      continue;
    const auto& instance = place->second;
    capacities_known &= instance.capacity > 0;
    all.push_back({status.instance, instance.node, instance.rloc, status.flows, status.rate_pps, instance.capacity});
  }
  const auto load = [&](const auto& each) {
    return static_cast<double>(each.flows) / (capacities_known ? static_cast<double>(each.capacity) : 1.0);
  };
  std::sort(all.begin(), all.end(), [&](const auto& a, const auto& b) {
    return std::tuple<double, const std::string&>{load(a), a.instance} <
           std::tuple<double, const std::string&>{load(b), b.instance};
  });
  policy::random_source random{hash_text(vnf_class, state.deals)};
  std::vector<model::class_digest> out;
  for (const auto& hand : policy::deal(all.size(), random)) {
    auto& digest = out.emplace_back(model::class_digest{vnf_class, {}});
    digest.hand = static_cast<std::uint32_t>(out.size() - 1);
    for (const auto place : hand)
      digest.candidates.push_back(all[place]);
  }
  for (auto& digest : out)
    digest.hands = static_cast<std::uint32_t>(out.size());
  return out;
}

bool digest_actor::ours(const std::string& vnf_class) const {
  const auto slot = store::slot_of(store::table::digests, model::keys::digest(vnf_class), settings_.ring->slot_count());
  return settings_.ring->nodes()[settings_.ring->primary(slot)].name == settings_.node;
}

runtime::state_entries digest_actor::state_summary() const {
  return {{"classes", std::to_string(classes_.size())},
          {"instances", std::to_string(instances_.size())},
          {"written", std::to_string(written_)},
          {"failures", std::to_string(failures_)}};
}

} // namespace glocal::actors
