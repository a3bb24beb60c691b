#pragma once
// Store nodes (three, unless a test wants more) that keep three copies of each slot, and one node that uses them, in
// virtual time on an in-memory network with a register in memory.

#include "actors/store/actor_store.hpp"
#include "actors/store/memory_storage.hpp"
#include "actors/store/placement_actor.hpp"
#include "actors/store/process_register.hpp"
#include "actors/store/store_client.hpp"
#include "actors/store/store_node.hpp"
#include "runtime/simulation.hpp"
#include "store/contract_test.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace glocal::actors {

/// Runs what a test wants done inside an actor.
struct test_call {
  std::function<void(glocal::store::store&)> what;
};

} // namespace glocal::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::test_call)

namespace glocal::actors {

/// An actor that uses the store as any does.
class store_user final : public runtime::observed_actor {
public:
  store_user(caf::actor_config& config, std::string name, caf::actor client)
      : runtime::observed_actor{config, "store user", std::move(name)}, store_{*this, std::move(client)} {}

  caf::behavior make_behavior() override {
    return caf::message_handler{[this](const test_call& call) { call.what(store_); }}.or_else(store_.handler());
  }

private:
  actor_store store_;
};

/// Hands every call to a store_user; results come back while the simulation runs.
class remote_store final : public glocal::store::store {
public:
  explicit remote_store(caf::actor user) : user_{std::move(user)} {}

  void execute(glocal::store::batch operations, batch_callback done) override {
    post([=](store& target) { target.execute(operations, done); });
  }
  void scan(glocal::store::table from, std::string prefix, std::size_t limit, std::string continuation,
            page_callback done) override {
    post([=](store& target) { target.scan(from, prefix, limit, continuation, done); });
  }
  glocal::store::watch_id watch(glocal::store::table of, std::string prefix, watch_callback on_event) override {
    const auto id = next_++;
    post([=, this](store& target) { ids_[id] = target.watch(of, prefix, on_event); });
    return id;
  }
  void unwatch(glocal::store::watch_id id) override {
    post([=, this](store& target) { target.unwatch(ids_.at(id)); });
  }
  void grant_lease(glocal::store::lease_id id, std::chrono::milliseconds ttl, done_callback done) override {
    post([=](store& target) { target.grant_lease(id, ttl, done); });
  }
  void renew_lease(glocal::store::lease_id id, done_callback done) override {
    post([=](store& target) { target.renew_lease(id, done); });
  }
  void revoke_lease(glocal::store::lease_id id, done_callback done) override {
    post([=](store& target) { target.revoke_lease(id, done); });
  }

private:
  void post(std::function<void(store&)> what) { caf::anon_send(user_, test_call{std::move(what)}); }

  caf::actor user_;
  glocal::store::watch_id next_ = 1;
  std::map<glocal::store::watch_id, glocal::store::watch_id> ids_;
};

class store_cluster : public glocal::store::contract_fixture {
public:
  struct store_host {
    runtime::transport transport;
    memory_disks disks;
    caf::actor node, client, placement;
  };

  explicit store_cluster(std::optional<std::uint64_t> seed = std::nullopt, glocal::store::slot_options slots = {},
                         int nodes = 3)
      : sim{seed}, slots_{slots} {
    write_cluster_file(nodes);
    for (const auto& each : ring->nodes())
      start(each.name);
    edge = sim.node("e1");
    client = add_client(edge);
    user = add_user("user");
    sim.run();
    await_whole();
  }
  ~store_cluster() override {
    for (auto& [name, host] : hosts)
      host.transport.directory->clear();
    edge.directory->clear();
  }

  [[nodiscard]] glocal::store::store& subject() override { return *user; }
  void run_until_idle() override { sim.run(); }
  void advance(std::chrono::milliseconds by) override { sim.advance(by); }

  /// Nodes and clients that start from now on know of so many store nodes.
  void write_cluster_file(int nodes) {
    std::vector<glocal::store::ring_node> names;
    for (int i = 1; i <= nodes; ++i)
      names.push_back({"s" + std::to_string(i), ""});
    ring = std::make_shared<const glocal::store::hash_ring>(*glocal::store::hash_ring::make(std::move(names), 32));
  }
  void start(const std::string& name) {
    auto& host = hosts[name];
    if (!host.transport.directory)
      host.transport = sim.node(name);
    store_node_settings settings;
    settings.ring = ring;
    settings.replica.watches = slots_;
    settings.config_register = process_register::factory(registers);
    host.node =
        sim.own(sim.system().spawn<store_node>(settings, host.transport, host.disks.storage(ring->slot_count())));
    host.transport.directory->add(std::string{store_node_name}, host.node);
    host.client = add_client(host.transport);
    placement_settings where;
    where.ring = ring;
    host.placement = sim.own(sim.system().spawn<placement_actor>(where, host.transport, host.client));
    host.transport.directory->add(std::string{placement_name}, host.placement);
    sim.run();
  }
  /// As kill -9 of the process does: the node's actors and its connections go; the disk stays.
  void kill(const std::string& name) {
    auto& host = hosts.at(name);
    host.transport.directory->clear();
    for (auto* each : {&host.placement, &host.client, &host.node}) {
      caf::anon_send_exit(*each, caf::exit_reason::kill);
      *each = {};
    }
    for (const auto& [other, each] : hosts)
      if (other != name)
        sim.network().disconnect(name, other);
    sim.network().disconnect(name, "e1");
    sim.run();
  }
  /// Until every slot has a primary and all its members; REQUIREs that it comes to that.
  void await_whole(std::chrono::seconds within = std::chrono::seconds{20}) {
    for (std::chrono::milliseconds waited{0}; !whole(); waited += std::chrono::milliseconds{100}) {
      REQUIRE(waited < within);
      sim.advance(std::chrono::milliseconds{100});
    }
  }
  /// Until every slot has a primary, whoever is away.
  void await_served() {
    const auto serving = [&] {
      int slots = 0;
      for (const auto& value : states("store node", "slots"))
        slots += std::stoi(value);
      return slots == ring->slot_count();
    };
    for (std::chrono::milliseconds waited{0}; !serving(); waited += std::chrono::milliseconds{100}) {
      REQUIRE(waited < std::chrono::seconds{20});
      sim.advance(std::chrono::milliseconds{100});
    }
  }
  [[nodiscard]] bool whole() {
    int slots = 0;
    for (const auto& value : states("store node", "whole"))
      slots += std::stoi(value);
    return slots == ring->slot_count();
  }
  caf::actor add_client(const runtime::transport& at) {
    store_client_settings settings;
    settings.ring = ring;
    const auto made = sim.own(sim.system().spawn<store_client>(settings, at));
    at.directory->add(std::string{store_client_name}, made);
    return made;
  }
  std::unique_ptr<remote_store> add_user(const std::string& name) {
    return std::make_unique<remote_store>(sim.own(sim.system().spawn<store_user>(name, client)));
  }
  /// A key of `in` whose slot `node` holds.
  [[nodiscard]] std::string key_at(const std::string& node, glocal::store::table in, int skip = 0) const {
    for (int i = 0;; ++i) {
      auto key = "key" + std::to_string(i);
      const auto slot = glocal::store::slot_of(in, key, ring->slot_count());
      if (ring->nodes()[ring->primary(slot)].name == node && skip-- == 0)
        return key;
    }
  }
  /// What the actor of this kind says of itself under `key`.
  [[nodiscard]] std::string state(const std::string& kind, const std::string& key) {
    const auto all = states(kind, key);
    return all.empty() ? std::string{} : all.front();
  }
  /// The same of all of them.
  [[nodiscard]] std::vector<std::string> states(const std::string& kind, const std::string& key) {
    sim.observatory().refresh();
    sim.run();
    std::vector<std::string> out;
    for (const auto& record : sim.observatory().snapshot())
      if (record.kind == kind)
        for (const auto& [name, value] : record.state)
          if (name == key)
            out.push_back(value);
    return out;
  }
  /// The node that the register says is primary of this key's slot.
  [[nodiscard]] std::string primary_of(glocal::store::table in, const std::string& key) const {
    return registers->current.at(glocal::store::slot_of(in, key, ring->slot_count())).view.primary.node;
  }

  runtime::simulation sim;
  std::shared_ptr<const glocal::store::hash_ring> ring;
  std::shared_ptr<process_register::values> registers = std::make_shared<process_register::values>();
  std::map<std::string, store_host> hosts;
  runtime::transport edge;
  caf::actor client;
  std::unique_ptr<remote_store> user;

private:
  glocal::store::slot_options slots_;
};

} // namespace glocal::actors
