#include "actors/edge/vnf_host.hpp"

#include "actors/edge/replace_child.hpp"
#include "actors/model/codec.hpp"
#include "base/log.hpp"
#include "runtime/errors.hpp"
#include "runtime/transport.hpp"

#include <algorithm>

namespace glocal::actors {
namespace {

struct driver_start {
  model::instantiate_request wanted;
};
struct driver_stop {
  std::string instance;
};
/// What the driver said; an empty failure is success.
struct driver_answer {
  started_vnf started;
  std::string failure;
};

/// Runs the driver, which blocks, away from the cooperative actors.
class driver_runner : public runtime::observed_actor {
public:
  driver_runner(caf::actor_config& config, const std::string& node, std::shared_ptr<vnf_driver> driver)
      : runtime::observed_actor{config, "vnf driver", "edge/" + node + "/driver"}, driver_{std::move(driver)} {}

  caf::behavior make_behavior() override;

private:
  const std::shared_ptr<vnf_driver> driver_;
};

/// Opening a port takes milliseconds; the agent may have a burst of events to handle first.
constexpr std::chrono::milliseconds open_timeout{10'000};

runtime::wire_message reply_message(const model::lifecycle_reply& reply) {
  return runtime::make_message(mano_kind::lifecycle_reply, std::string_view{model::encode(reply)});
}

} // namespace
} // namespace glocal::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::driver_start)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::driver_stop)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(glocal::actors::driver_answer)

namespace glocal::actors {

caf::behavior driver_runner::make_behavior() {
  return {
      [this](const driver_start& order) {
        auto started = driver_->start(order.wanted.instance, order.wanted.vnf_class);
        return started ? driver_answer{std::move(*started), {}} : driver_answer{{}, started.error()};
      },
      [this](const driver_stop& order) {
        const auto stopped = driver_->stop(order.instance);
        return driver_answer{{}, stopped ? std::string{} : stopped.error()};
      },
  };
}

vnf_host::vnf_host(caf::actor_config& config, vnf_host_settings settings, std::shared_ptr<vnf_driver> driver,
                   const dataplane::counters& counters, caf::actor supervisor, caf::actor store_client,
                   std::shared_ptr<runtime::directory> directory)
    : runtime::observed_actor{config, "vnf host", edge_names::vnf_host(settings.node)}, settings_{std::move(settings)},
      driver_{std::move(driver)}, counters_{counters}, supervisor_{std::move(supervisor)},
      store_client_{std::move(store_client)}, directory_{std::move(directory)} {}

caf::behavior vnf_host::make_behavior() {
  driver_actor_ = settings_.detached_driver ? spawn<driver_runner, caf::detached + caf::linked>(settings_.node, driver_)
                                            : spawn<driver_runner, caf::linked>(settings_.node, driver_);
  return {
      [this](runtime::wire_request_atom, const std::string&, const runtime::wire_message& message) {
        return on_request(message);
      },
      [this](const agent_started&) { open_again(); },
  };
}

caf::result<runtime::wire_message> vnf_host::on_request(const runtime::wire_message& message) {
  if (message.kind == mano_kind::instantiate) {
    const auto wanted = model::decode<model::instantiate_request>(message.text());
    if (!wanted)
      return runtime::transport_errc::malformed;
    auto promise = make_response_promise<reply_promise>();
    instantiate(*wanted, promise);
    return promise;
  }
  if (message.kind == mano_kind::terminate) {
    const auto order = model::decode<model::terminate_request>(message.text());
    if (!order)
      return runtime::transport_errc::malformed;
    auto promise = make_response_promise<reply_promise>();
    terminate(order->instance, promise);
    return promise;
  }
  return runtime::transport_errc::malformed;
}

void vnf_host::instantiate(const model::instantiate_request& wanted, reply_promise promise) {
  const auto& name = wanted.instance.name;
  if (wanted.instance.node != settings_.node) {
    promise.deliver(reply_message({std::nullopt, "this is node " + settings_.node}));
    return;
  }
  const auto known = hosted_.find(name);
  if (known != hosted_.end()) {
    promise.deliver(known->second.running ? reply_message({known->second.instance, {}})
                                          : reply_message({std::nullopt, name + " is being started"}));
    return;
  }
  auto& entry = hosted_[name];
  entry.instance = wanted.instance;
  entry.instance.rloc = settings_.rloc;
  request(driver_actor_, instantiate_timeout, driver_start{wanted})
      .then(
          [this, wanted, promise](driver_answer& answer) mutable {
            if (!answer.failure.empty())
              return fail(wanted.instance.name, answer.failure, promise);
            open_arms(wanted, std::move(answer.started), promise);
          },
          [this, wanted, promise](const caf::error& error) mutable {
            fail(wanted.instance.name, "driver: " + runtime::describe(error), promise);
          });
}

void vnf_host::open_arms(const model::instantiate_request& wanted, started_vnf started, reply_promise promise) {
  const auto& name = wanted.instance.name;
  auto& entry = hosted_[name];
  entry.in = std::move(started.in);
  entry.in.id = free_port();
  entry.out = std::move(started.out);
  entry.out.id = free_port();
  const auto agent = directory_->find(edge_names::switch_agent(settings_.node));
  if (!agent || entry.in.id == dataplane::no_port || entry.out.id == dataplane::no_port)
    return fail(name, agent ? "no port number is free" : "the switch agent is not running", promise);
  request(agent, open_timeout, open_instance{name, entry.in, entry.out})
      .then(
          [this, name, promise]() mutable {
            auto& running = hosted_[name];
            running.running = true;
            spdlog::info("instance {} runs on ports {} and {}", name, running.in.id, running.out.id);
            watch_instance(running);
            promise.deliver(reply_message({running.instance, {}}));
          },
          [this, name, promise](const caf::error& error) mutable { fail(name, runtime::describe(error), promise); });
}

void vnf_host::open_again() {
  const auto agent = directory_->find(edge_names::switch_agent(settings_.node));
  for (const auto& [name, entry] : hosted_)
    if (agent && entry.running)
      request(agent, open_timeout, open_instance{name, entry.in, entry.out})
          .then([] {},
                [this, name = name](const caf::error& error) { note_error(name + ": " + runtime::describe(error)); });
}

void vnf_host::watch_instance(const hosted& entry) {
  vnf_monitor_settings settings;
  settings.instance = entry.instance;
  settings.in_arm = entry.in.id;
  settings.out_arm = entry.out.id;
  settings.lease = settings_.lease;
  const auto name = edge_names::vnf_monitor(settings_.node, entry.instance.name);
  runtime::child_spec spec;
  spec.name = name;
  spec.registered_as = name;
  spec.start = [settings, driver = driver_, client = store_client_, &counters = counters_](caf::local_actor& parent) {
    return parent.spawn<vnf_monitor>(settings, counters, driver, client);
  };
  replace_child(this, supervisor_, std::move(spec),
                [this, name](const caf::error& error) { note_error(name + ": " + runtime::describe(error)); });
}

void vnf_host::terminate(const std::string& name, reply_promise promise) {
  if (const auto agent = directory_->find(edge_names::switch_agent(settings_.node)))
    send(agent, close_instance{name});
  request(supervisor_, runtime::default_timeout, runtime::stop_child_atom_v,
          edge_names::vnf_monitor(settings_.node, name))
      .then([](caf::unit_t) {}, [](const caf::error&) {});
  request(driver_actor_, instantiate_timeout, driver_stop{name})
      .then(
          [this, name, promise](const driver_answer& answer) mutable {
            if (!answer.failure.empty()) {
              promise.deliver(reply_message({std::nullopt, answer.failure}));
              return;
            }
            auto ended = hosted_.extract(name);
            model::vnf_instance instance;
            if (ended)
              instance = ended.mapped().instance;
            instance.name = name;
            promise.deliver(reply_message({instance, {}}));
          },
          [promise](const caf::error& error) mutable {
            promise.deliver(reply_message({std::nullopt, "driver: " + runtime::describe(error)}));
          });
}

void vnf_host::fail(const std::string& name, const std::string& why, reply_promise promise) {
  note_error(name + ": " + why);
  spdlog::error("instance {} could not be started: {}", name, why);
  hosted_.erase(name);
  request(driver_actor_, instantiate_timeout, driver_stop{name})
      .then([](const driver_answer&) {}, [](const caf::error&) {});
  promise.deliver(reply_message({std::nullopt, why}));
}

dataplane::port_id vnf_host::free_port() const {
  for (auto id = settings_.first_port; id < dataplane::max_ports; ++id)
    if (std::none_of(hosted_.begin(), hosted_.end(),
                     [&](const auto& entry) { return entry.second.in.id == id || entry.second.out.id == id; }))
      return id;
  return dataplane::no_port;
}

runtime::state_entries vnf_host::state_summary() const {
  runtime::state_entries out;
  for (const auto& [name, entry] : hosted_)
    out.emplace_back(name, entry.running ? "running" : "starting");
  return out;
}

} // namespace glocal::actors
