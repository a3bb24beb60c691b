#include "actors/edge/edge_controller.hpp"

#include "actors/edge/replace_child.hpp"
#include "actors/edge/service_module.hpp"
#include "actors/model/codec.hpp"
#include "actors/model/keys.hpp"
#include "base/hash.hpp"
#include "base/log.hpp"
#include "runtime/atoms.hpp"
#include "runtime/errors.hpp"
#include "runtime/transport.hpp"

#include <algorithm>

namespace glocal::actors {

using store::watch_event;

namespace {

/// Pause before asking a store again that did not grant: its nodes may still be starting.
constexpr std::chrono::milliseconds grant_pause{500};

/// Three renewals per ttl: two may be lost.
constexpr int renewals_per_ttl = 3;

} // namespace

edge_controller::edge_controller(caf::actor_config& config, edge_controller_settings settings, caf::actor supervisor,
                                 caf::actor store_client, std::shared_ptr<runtime::directory> directory)
    : runtime::observed_actor{config, "edge controller", edge_names::controller(settings.node)},
      settings_{std::move(settings)}, supervisor_{std::move(supervisor)}, store_client_{store_client},
      directory_{std::move(directory)}, store_{*this, std::move(store_client)} {}

caf::behavior edge_controller::make_behavior() {
  grant_lease();
  watch_catalogue();
  return caf::message_handler{
      [this](runtime::tick_atom) { lease_held_ ? renew_lease() : grant_lease(); },
      [this](caf::update_atom) { reconcile(); },
      [this](const agent_started&) { bind(); },
  }
      .or_else(store_.handler());
}

// --- The lease
// --------------------------------------------------------------------------------------------------------

void edge_controller::grant_lease() {
  store_.grant_lease(settings_.lease, settings_.lease_ttl, [this](expected<void, store::store_error> granted) {
    if (!granted) {
      note_error("lease not granted: " + std::string{store::name(granted.error())});
      delayed_send(this, grant_pause, runtime::tick_atom_v);
      return;
    }
    lease_held_ = true;
    delayed_send(this, settings_.lease_ttl / renewals_per_ttl, runtime::tick_atom_v);
    publish_mappings();
    if (leases_lost_ > 0)
      tell_lease_regained();
  });
}

void edge_controller::renew_lease() {
  store_.renew_lease(settings_.lease, [this](expected<void, store::store_error> renewed) {
    if (!renewed && renewed.error() == store::store_error::no_such_lease) {
      spdlog::warn("the edge's lease ran out: publishing again what hung on it");
      lease_held_ = mappings_published_ = false;
      ++leases_lost_;
      grant_lease();
      return;
    }
    if (!renewed)
      note_error("lease not renewed: " + std::string{store::name(renewed.error())});
    delayed_send(this, settings_.lease_ttl / renewals_per_ttl, runtime::tick_atom_v);
    if (!mappings_published_)
      publish_mappings();
  });
}

void edge_controller::publish_mappings() {
  store::batch operations;
  for (const auto& mapping : settings_.mappings)
    operations.push_back(store::put_op{store::table::mappings, model::keys::mapping(mapping.tenant, mapping.eid),
                                       model::encode(mapping), settings_.lease});
  if (operations.empty()) {
    mappings_published_ = true;
    return;
  }
  store_.execute(
      std::move(operations), [this](const expected<std::vector<store::op_result>, store::store_error>& done) {
        // If not, the next renewal tries again.
        mappings_published_ =
            done && std::all_of(done->begin(), done->end(), [](const store::op_result& result) { return result.ok(); });
      });
}

void edge_controller::tell_lease_regained() {
  const auto prefix = "edge/" + settings_.node + "/";
  for (const auto& [name, actor] : directory_->entries())
    if (name.starts_with(prefix + "service/") || name.starts_with(prefix + "vnf/"))
      send(actor, lease_regained{});
}

// --- The catalogue
// ----------------------------------------------------------------------------------------------------

void edge_controller::watch_catalogue() {
  (void)store_.watch(store::table::catalogue, "", [this](const watch_event& event) {
    const auto follow = [&](auto& copy, std::string_view prefix) {
      using value_type = typename std::remove_reference_t<decltype(copy)>::mapped_type;
      auto name = event.entry.key.substr(prefix.size());
      if (event.what == watch_event::kind::erase)
        copy.erase(name);
      else if (auto value = model::decode<value_type>(event.entry.value))
        copy.insert_or_assign(std::move(name), std::move(*value));
      else
        note_error("catalogue: the value of " + event.entry.key + " can't be read");
    };
    if (event.what == watch_event::kind::live) {
      catalogue_live_ = true;
      // After what was delivered before it, so that a service's classes are known when its rules are bound.
      return send(this, caf::update_atom::value);
    }
    if (event.what != watch_event::kind::put && event.what != watch_event::kind::erase)
      return;
    if (event.entry.key.starts_with(model::keys::all_services))
      follow(services_, model::keys::all_services);
    else if (event.entry.key.starts_with(model::keys::all_vnf_classes))
      follow(classes_, model::keys::all_vnf_classes);
    if (catalogue_live_)
      send(this, caf::update_atom::value);
  });
}

void edge_controller::reconcile() {
  std::vector<std::string> gone;
  for (const auto& [name, binding] : bound_)
    if (!services_.contains(name))
      gone.push_back(name);
  for (const auto& name : gone) {
    stop_module(name);
    bound_.erase(name);
  }
  bool changed = !gone.empty();
  for (const auto& [name, service] : services_) {
    const bool stateful = std::any_of(service.chain.begin(), service.chain.end(), [&](const auto& vnf_class) {
      const auto known = classes_.find(vnf_class);
      return known == classes_.end() || known->second.stateful;
    });
    const auto known = bound_.find(name);
    if (known != bound_.end() && known->second.service == service) {
      changed |= std::exchange(known->second.stateful, stateful) != stateful;
      continue;
    }
    const service_binding binding{next_cookie_++, service, stateful};
    bound_.insert_or_assign(name, binding);
    start_module(name, binding);
    changed = true;
  }
  if (changed)
    bind();
}

void edge_controller::start_module(const std::string& name, const service_binding& binding) {
  service_module_settings settings;
  settings.service = binding.service;
  settings.edge = settings_.node;
  settings.cookie = binding.cookie;
  settings.lease = settings_.lease;
  settings.idle_timeout = settings_.idle_timeout;
  settings.decision_deadline = settings_.decision_deadline;
  settings.seed = hash_text(settings_.node, settings_.lease);
  settings.traces = settings_.traces;
  runtime::child_spec spec;
  spec.name = edge_names::service_module(settings_.node, name);
  spec.registered_as = spec.name;
  spec.start = [settings, client = store_client_, directory = directory_](caf::local_actor& parent) {
    return parent.spawn<service_module>(settings, client, directory);
  };
  replace_child(this, supervisor_, std::move(spec), [this, name](const caf::error& error) {
    note_error("service module " + name + ": " + runtime::describe(error));
    bound_.erase(name);
    delayed_send(this, grant_pause, caf::update_atom::value);
  });
}

void edge_controller::stop_module(const std::string& name) {
  request(supervisor_, runtime::default_timeout, runtime::stop_child_atom_v,
          edge_names::service_module(settings_.node, name))
      .then([](caf::unit_t) {}, [](const caf::error&) {});
}

void edge_controller::bind() {
  bind_services message;
  for (const auto& [name, binding] : bound_)
    message.services.push_back(binding);
  if (const auto agent = directory_->find(edge_names::switch_agent(settings_.node)))
    send(agent, std::move(message));
}

runtime::state_entries edge_controller::state_summary() const {
  std::string services;
  for (const auto& [name, binding] : bound_)
    services += (services.empty() ? "" : " ") + name;
  return {{"ready", lease_held_ && mappings_published_ && catalogue_live_ ? "true" : "false"},
          {"lease_held", lease_held_ ? "true" : "false"},
          {"leases_lost", std::to_string(leases_lost_)},
          {"services", services},
          {"mappings", std::to_string(settings_.mappings.size())}};
}

} // namespace glocal::actors
