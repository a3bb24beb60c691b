#include "benchmarks/bench_transport/transport_rival.hpp"
#include "tests/support/child_process.hpp"

#include "runtime/cast_batch.hpp"
#include "runtime/observed.hpp"
#include "runtime/system.hpp"
#include "runtime/tcp_transport.hpp"
#include "runtime/tls_filter.hpp"

#include <caf/all.hpp>

#include <cstring>
#include <future>
#include <iostream>
#include <stdexcept>

namespace glocal::bench {
namespace {

using namespace runtime;
using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr std::uint16_t echo_kind = kind_ranges::test + 1, flow_kind = kind_ranges::test + 2,
                        ack_kind = kind_ranges::test + 3;
/// Messages a source sends before other actors have their turn.
constexpr std::size_t turn = 512;
constexpr auto patience = 10s;

/// A Cap'n Proto message of exactly `size` bytes: one struct that is all data.
bytes body_of(std::size_t size) {
  bytes body(size);
  const std::uint64_t table = (size / 8 - 1) << 32, root = (size / 8 - 2) << 32;
  std::memcpy(body.data(), &table, 8);
  std::memcpy(body.data() + 8, &root, 8);
  return body;
}

/// What an actor without observation is made of, with the constructor of an observed one.
struct plain_actor : caf::event_based_actor {
  plain_actor(caf::actor_config& config, const std::string&, const std::string&) : event_based_actor{config} {}
};

/// Echoes requests, counts casts and acknowledges them.
template <class Base>
struct sink : Base {
  sink(caf::actor_config& config, runtime::transport transport)
      : Base{config, "sink", "sink"}, via{std::move(transport)}, ack{make_message(ack_kind, body_of(16))} {}

  caf::behavior make_behavior() override {
    return {
        [](wire_request_atom, const std::string&, wire_message& message) { return std::move(message); },
        [this](wire_cast_atom, const std::string& from, const wire_message&) { got_one(from); },
        [this](wire_casts_atom, const std::string& from, const cast_batch& casts) {
          casts.for_each([&](std::uint16_t, byte_view) { got_one(from); });
        },
    };
  }

  void got_one(const std::string& from) {
    if (++received % (one_way_window / 4) == 0)
      cast(this, via, {from, "source"}, ack);
  }

  const runtime::transport via;
  const wire_message ack;
  std::size_t received = 0;
};

template <class Base>
struct batch_sink : sink<Base>, takes_cast_batches {
  using sink<Base>::sink;
};

/// Handles nothing.
struct stalled : observed_actor {
  explicit stalled(caf::actor_config& config) : observed_actor{config, "stalled", "stalled"} {}
  caf::behavior make_behavior() override {
    set_default_handler(caf::skip);
    return {[](wake_atom) {}};
  }
};

/// Sends `count` casts, at most a window of them unacknowledged.
template <class Base>
struct source : Base {
  source(caf::actor_config& config, runtime::transport transport, std::size_t bytes, std::size_t count,
         std::promise<double>& result)
      : Base{config, "source", "source"}, via{std::move(transport)}, message{make_message(flow_kind, body_of(bytes))},
        total{count}, done{result} {}

  caf::behavior make_behavior() override {
    return {
        [this](tick_atom) { go_on(); },
        [this](writable_atom, const std::string&) { go_on(); },
        [this](wire_cast_atom, const std::string&, const wire_message&) {
          acknowledged += one_way_window / 4;
          if (acknowledged >= total) {
            const std::chrono::duration<double> took = clock::now() - begin;
            done.set_value(static_cast<double>(total) / took.count());
            this->quit();
          } else if (std::exchange(waiting, false)) {
            go_on();
          }
        },
    };
  }

  void go_on() {
    for (std::size_t i = 0; i < turn; ++i) {
      if (sent == total || sent - acknowledged == one_way_window) {
        waiting = true;
        return;
      }
      if (!cast(this, via, there, message))
        return when_writable(this, via, there.node);
      ++sent;
    }
    this->send(this, tick_atom_v);
  }

  const runtime::transport via;
  const address there{"b", "sink"};
  const wire_message message;
  const std::size_t total;
  std::promise<double>& done;
  std::size_t sent = 0, acknowledged = 0;
  bool waiting = false;
  const clock::time_point begin = clock::now();
};

/// Asks `count` times, one at a time.
template <class Base>
struct asker : Base {
  asker(caf::actor_config& config, runtime::transport transport, std::size_t bytes, std::size_t count,
        std::promise<std::vector<std::uint64_t>>& result)
      : Base{config, "asker", "asker"}, via{std::move(transport)}, message{make_message(echo_kind, body_of(bytes))},
        total{count}, done{result} {
    times.reserve(total);
  }

  caf::behavior make_behavior() override {
    return {[this](tick_atom) { ask(); }};
  }

  void ask() {
    begin = clock::now();
    request(this, via, there, message)
        .then(
            [this](const wire_message&) {
              times.push_back(static_cast<std::uint64_t>((clock::now() - begin).count()));
              if (times.size() < total)
                return ask();
              done.set_value(std::move(times));
              this->quit();
            },
            [this](const caf::error& error) {
              done.set_exception(std::make_exception_ptr(std::runtime_error{describe(error)}));
              this->quit();
            });
  }

  const runtime::transport via;
  const address there{"b", "sink"};
  const wire_message message;
  const std::size_t total;
  std::promise<std::vector<std::uint64_t>>& done;
  std::vector<std::uint64_t> times;
  clock::time_point begin;
};

/// Sends without looking at what becomes of it.
struct flooder : observed_actor {
  flooder(caf::actor_config& config, runtime::transport transport, std::size_t bytes, std::size_t count,
          std::promise<std::size_t>& result)
      : observed_actor{config, "flooder", "source"}, via{std::move(transport)},
        message{make_message(flow_kind, body_of(bytes))}, total{count}, done{result} {}

  caf::behavior make_behavior() override {
    return {[this](tick_atom) {
      for (std::size_t i = 0; i < turn && sent < total; ++i, ++sent) {
        cast(this, via, there, message);
        runtime::request(this, via, there, message)
            .then([this](const wire_message&) { ended(); }, [this](const caf::error&) { ended(); });
      }
      if (sent < total)
        send(this, tick_atom_v);
    }};
  }

  void ended() {
    // The rest is under way to who never answers.
    if (++answered + one_way_window >= total && !std::exchange(told, true))
      done.set_value(answered);
  }

  const runtime::transport via;
  const runtime::address there{"b", "stalled"};
  const wire_message message;
  const std::size_t total;
  std::promise<std::size_t>& done;
  std::size_t sent = 0, answered = 0;
  bool told = false;
};

struct node {
  node(const std::string& name, std::vector<tcp_peer> peers, const std::string& certificates)
      : config{system_options{.node = name}}, system{config}, directory{std::make_shared<runtime::directory>()} {
    tcp_transport_options options{.self = {name, "bench", 1}, .peers = std::move(peers), .directory = directory};
    if (!certificates.empty()) {
      const auto file = [&](const std::string& which) { return certificates + '/' + which; };
      const auto context = tls_context::load({file(name + ".crt"), file(name + ".key"), file("ca.crt")}, name, "bench");
      if (!context)
        throw std::runtime_error{to_string(context.error()[0])};
      options.make_filter = tls_filters(*context, name);
    }
    auto made = spawn_tcp_transport(system, options);
    if (!made)
      throw std::runtime_error{made.error()};
    transport = made->transport;
    port = made->port;
  }
  ~node() {
    directory->clear();
    (void)stop_and_wait(system, transport.router, patience);
  }

  system_config config;
  caf::actor_system system;
  std::shared_ptr<runtime::directory> directory;
  runtime::transport transport;
  std::uint16_t port = 0;
};

class glocal_rival : public rival {
public:
  glocal_rival(const rival_options& options, std::uint16_t port)
      : observed_{options.observed}, node_{"a", {{"b", "127.0.0.1", port}}, options.certificates} {}

  std::vector<std::uint64_t> round_trips(std::size_t bytes, std::size_t count) override {
    std::promise<std::vector<std::uint64_t>> result;
    return run<asker>(bytes, count, result);
  }

  double one_way(std::size_t bytes, std::size_t count) override {
    std::promise<double> result;
    return run<source>(bytes, count, result);
  }

  void flood(std::size_t bytes, std::size_t count) override {
    std::promise<std::size_t> result;
    flooder_ = node_.system.spawn<flooder>(node_.transport, bytes, count, std::ref(result));
    caf::anon_send(flooder_, tick_atom_v);
    result.get_future().wait();
    caf::anon_send_exit(flooder_, caf::exit_reason::user_shutdown);
  }

private:
  template <template <class> class Actor, class Result>
  Result run(std::size_t bytes, std::size_t count, std::promise<Result>& result) {
    auto actor = observed_ ? node_.system.spawn<Actor<observed_actor>>(node_.transport, bytes, count, std::ref(result))
                           : node_.system.spawn<Actor<plain_actor>>(node_.transport, bytes, count, std::ref(result));
    node_.directory->add("source", actor);
    caf::anon_send(actor, tick_atom_v);
    return result.get_future().get();
  }

  const bool observed_;
  node node_;
  caf::actor flooder_;
};

} // namespace

void serve_glocal(const rival_options& options) {
  node self{"b", {}, options.certificates};
  const auto spawn = [&](auto base) {
    using actor = typename decltype(base)::type;
    return options.batches ? self.system.spawn<batch_sink<actor>>(self.transport)
                           : self.system.spawn<sink<actor>>(self.transport);
  };
  self.directory->add("sink", options.observed ? spawn(std::type_identity<observed_actor>{})
                                               : spawn(std::type_identity<plain_actor>{}));
  self.directory->add("stalled", self.system.spawn<stalled>());
  std::cout << self.port << std::endl;
  test::wait_for_parent();
}

std::unique_ptr<rival> connect_glocal(const rival_options& options, std::uint16_t port) {
  return std::make_unique<glocal_rival>(options, port);
}

} // namespace glocal::bench
