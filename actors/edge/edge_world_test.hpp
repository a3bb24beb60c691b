#pragma once
// The actors of an edge against a real store (one node, in memory) and a switch that only records what it is told.
// Virtual time, one message at a time; nothing here depends on the machine.

#include "actors/edge/edge_controller.hpp"
#include "actors/edge/switch_agent.hpp"
#include "actors/edge/vnf_host.hpp"
#include "actors/mano/mano_actor.hpp"
#include "actors/model/codec.hpp"
#include "actors/model/keys.hpp"
#include "actors/store/digest_actor.hpp"
#include "actors/store/memory_storage.hpp"
#include "actors/store/process_register.hpp"
#include "actors/store/store_client.hpp"
#include "actors/store/store_node.hpp"
#include "dataplane/wire/drop_reason.hpp"
#include "runtime/simulation.hpp"
#include "runtime/supervisor.hpp"
#include <catch2/catch.hpp>
#include <deque>

namespace glocal::actors::testing {

using namespace std::chrono_literals;

/// Records commands; events are put in by the test.
class recorded_switch final : public dataplane::southbound {
public:
  expected<void, dataplane::submit_error> submit(dataplane::command&& order) override {
    if (is_busy)
      return unexpected{dataplane::submit_error::busy};
    orders.push_back(std::move(order));
    return {};
  }
  std::size_t poll(std::span<dataplane::event> out) override {
    std::size_t count = 0;
    for (; count < out.size() && !events.empty(); ++count) {
      out[count] = events.front();
      events.pop_front();
    }
    return count;
  }
  std::size_t poll_traces(std::span<dataplane::trace_record> out) override {
    std::size_t count = 0;
    for (; count < out.size() && !traces.empty(); ++count) {
      out[count] = traces.front();
      traces.pop_front();
    }
    return count;
  }
  void arm() override {}
  bool empty() const override { return events.empty() && traces.empty(); }
  const dataplane::counters& statistics() const override { return *counters; }

  template <class Order>
  [[nodiscard]] std::vector<Order> all() const {
    std::vector<Order> out;
    for (const auto& order : orders)
      if (const auto* wanted = std::get_if<Order>(&order))
        out.push_back(*wanted);
    return out;
  }

  bool is_busy = false;
  std::vector<dataplane::command> orders;
  std::deque<dataplane::event> events;
  std::deque<dataplane::trace_record> traces;
  std::unique_ptr<dataplane::counters> counters = std::make_unique<dataplane::counters>();
};

/// Instances that exist by being asked for.
class imagined_driver final : public vnf_driver {
public:
  expected<started_vnf, std::string> start(const model::vnf_instance& instance, const model::vnf_class&) override {
    if (broken.contains(instance.name))
      return unexpected{std::string{"no such image"}};
    running.insert(instance.name);
    return started_vnf{};
  }
  expected<void, std::string> stop(const std::string& instance) override {
    running.erase(instance);
    return {};
  }
  bool alive(const std::string& instance) const override { return running.contains(instance); }

  std::set<std::string> running, broken;
};

inline const auto rloc_of_e1 = *parse_ip("172.16.1.2");
inline const auto rloc_of_dc = *parse_ip("172.16.2.2");

/// An edge "e1" and a store "s1". Instances run at "dc", which is not there: deciding needs only what is published.
struct world {
  explicit world(model::fallback on_store_loss = model::fallback::drop) {
    web.on_store_loss = on_store_loss;
    web.matches.push_back({});
    web.matches.back().destination_ports = {80, 80};

    store_node_settings node_settings;
    node_settings.ring = ring;
    node_settings.config_register = process_register::factory(std::make_shared<process_register::values>());
    const auto node = simulation.own(
        simulation.system().spawn<store_node>(node_settings, s1, memory_disks{}.storage(ring->slot_count())));
    s1.directory->add(std::string{store_node_name}, node);
    e1_client = make_client(e1);

    edge_controller_settings controller;
    controller.node = "e1";
    controller.lease = 77;
    controller.traces = traces;
    controller.mappings = {{0, *parse_prefix("10.1.0.0/24"), "e1", rloc_of_e1}};
    switch_agent_settings agent;
    agent.node = "e1";
    agent.attachments = {{1, 0, {*parse_prefix("10.1.0.0/24")}}};
    agent.trusted_rlocs = {rloc_of_dc};
    agent.traces = traces;
    dataplane::port_config attachment;
    attachment.id = 1;
    attachment.name = "subscribers";
    agent.ports = {attachment};
    std::vector<runtime::child_spec> children;
    const auto add = [&](const std::string& name, runtime::child_factory start) {
      runtime::child_spec spec;
      spec.name = spec.registered_as = name;
      spec.start = std::move(start);
      children.push_back(std::move(spec));
    };
    add(edge_names::switch_agent("e1"), [this, agent](caf::local_actor& parent) {
      return parent.spawn<switch_agent>(agent, fast_path, e1_client, e1.directory);
    });
    add(edge_names::controller("e1"), [this, controller](caf::local_actor& parent) {
      return parent.spawn<edge_controller>(controller, caf::actor_cast<caf::actor>(&parent), e1_client, e1.directory);
    });
    supervisor = simulation.own(simulation.system().spawn<runtime::supervisor>("edge/e1", runtime::supervisor_options{},
                                                                               std::move(children), e1.directory));
    pass(1s);
  }

  caf::actor make_client(const runtime::transport& where) {
    store_client_settings settings;
    settings.ring = ring;
    const auto client = simulation.own(simulation.system().spawn<store_client>(settings, where));
    where.directory->add(std::string{store_client_name}, client);
    return client;
  }

  void pass(std::chrono::milliseconds span) {
    simulation.run();
    simulation.advance(span);
  }

  /// As another node would write it.
  store::op_result execute(store::operation operation) {
    struct writer : runtime::observed_actor {
      writer(caf::actor_config& config, caf::actor client, store::operation op, std::shared_ptr<store::op_result> out)
          : runtime::observed_actor{config, "writer", "writer"}, store_{*this, std::move(client)}, op_{std::move(op)},
            out_{std::move(out)} {}
      caf::behavior make_behavior() override {
        store_.execute({op_}, [this](const expected<std::vector<store::op_result>, store::store_error>& done) {
          REQUIRE(done);
          *out_ = done->front();
        });
        return store_.handler();
      }
      actor_store store_;
      store::operation op_;
      std::shared_ptr<store::op_result> out_;
    };
    auto out = std::make_shared<store::op_result>();
    simulation.own(simulation.system().spawn<writer>(e1_client, std::move(operation), out));
    pass(10ms);
    return *out;
  }
  void put(store::table table, const std::string& key, const std::string& value) {
    REQUIRE(execute(store::put_op{table, key, value, 0}).ok());
  }

  /// What MANO, monitors and store nodes publish before the first flow.
  void publish_service() {
    put(store::table::instances, "fw-1", model::encode(model::vnf_instance{"fw-1", "firewall", "dc", rloc_of_dc}));
    put(store::table::digests, "firewall",
        model::encode(model::class_digest{"firewall", {{"fw-1", "dc", rloc_of_dc, 0, 0}}}));
    put(store::table::catalogue, model::keys::vnf_class("firewall"),
        model::encode(model::vnf_class{"firewall", "netns", true, {}}));
    put(store::table::catalogue, model::keys::service("web"), model::encode(web));
    pass(1s);
    fast_path.orders.clear();
  }

  dataplane::packet_in raise(const std::string& tuple,
                             dataplane::packet_in_reason reason = dataplane::packet_in_reason::rule,
                             dataplane::trace_id trace = 0) {
    dataplane::packet_in packet;
    packet.reason = reason;
    packet.in_port = 1;
    packet.tuple = *parse_five_tuple(tuple);
    packet.rule_cookie = 1;
    packet.hold = ++last_hold;
    packet.trace = trace;
    fast_path.events.push_back(packet);
    caf::anon_send(e1.directory->find(edge_names::switch_agent("e1")), runtime::wake_atom_v);
    pass(10ms);
    return packet;
  }

  std::optional<model::flow_record> published(const std::string& tuple) {
    const auto found =
        execute(store::get_op{store::table::flows, model::keys::flow(0, *parse_five_tuple(tuple))}).found;
    return found ? model::decode<model::flow_record>(found->value) : std::nullopt;
  }

  runtime::simulation simulation;
  runtime::transport e1 = simulation.node("e1"), s1 = simulation.node("s1");
  std::shared_ptr<const store::hash_ring> ring =
      std::make_shared<const store::hash_ring>(*store::hash_ring::make({{"s1"}}, 16));
  recorded_switch fast_path;
  std::shared_ptr<trace_book> traces = std::make_shared<trace_book>();
  model::service web{"web", 0, 100, {}, {"firewall"}, policy::kind::least_loaded, model::fallback::drop};
  caf::actor e1_client, supervisor;
  dataplane::hold_id last_hold = 0;
};

inline constexpr const char* connection = "tcp 10.1.0.7:51514 > 203.0.113.9:80";

} // namespace glocal::actors::testing
