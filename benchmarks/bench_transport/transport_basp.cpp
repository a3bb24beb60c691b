// The same bytes between the same kinds of actors by CAF's own remoting, as CAF ships it.

#include "benchmarks/bench_transport/transport_rival.hpp"
#include "tests/support/child_process.hpp"

#include <caf/all.hpp>
#include <caf/io/all.hpp>

#include <future>
#include <iostream>
#include <stdexcept>

namespace glocal::bench {
namespace {

using clock = std::chrono::steady_clock;
using flow_atom = caf::atom_constant<caf::atom("flow")>;
using ack_atom = caf::atom_constant<caf::atom("ack")>;
using go_atom = caf::atom_constant<caf::atom("go")>;
using echo_atom = caf::atom_constant<caf::atom("echo")>;

constexpr std::size_t turn = 512;

struct basp_system {
  basp_system() {
    config.load<caf::io::middleman>();
    // What glocal runs with, and what does BASP good too.
    config.set("scheduler.policy", caf::atom("sharing"));
    config.set("scheduler.max-threads", std::size_t{2});
    config.set("scheduler.max-throughput", std::size_t{100});
    config.set("logger.console", caf::atom("none"));
    config.set("logger.file-verbosity", caf::atom("quiet"));
    system = std::make_unique<caf::actor_system>(config);
  }
  caf::actor_system_config config;
  std::unique_ptr<caf::actor_system> system;
};

struct sink_state {
  std::size_t received = 0;
};

caf::behavior sink(caf::stateful_actor<sink_state>* self) {
  return {
      [](echo_atom, std::string& bytes) { return std::move(bytes); },
      [self](flow_atom, const std::string&) {
        if (++self->state.received % (one_way_window / 4) == 0)
          self->send(caf::actor_cast<caf::actor>(self->current_sender()), ack_atom::value);
      },
  };
}

struct source_state {
  std::size_t sent = 0, acknowledged = 0;
  bool waiting = false;
  clock::time_point begin = clock::now();
};

caf::behavior source(caf::stateful_actor<source_state>* self, const caf::actor& there, std::size_t bytes,
                     std::size_t total, std::promise<double>* done) {
  const std::string body(bytes, 'x');
  const auto go_on = [=] {
    auto& state = self->state;
    for (std::size_t i = 0; i < turn; ++i) {
      if (state.sent == total || state.sent - state.acknowledged == one_way_window) {
        state.waiting = true;
        return;
      }
      self->send(there, flow_atom::value, body);
      ++state.sent;
    }
    self->send(self, go_atom::value);
  };
  self->send(self, go_atom::value);
  return {
      [=](go_atom) { go_on(); },
      [=](ack_atom) {
        auto& state = self->state;
        state.acknowledged += one_way_window / 4;
        if (state.acknowledged >= total) {
          const std::chrono::duration<double> took = clock::now() - state.begin;
          done->set_value(static_cast<double>(total) / took.count());
          self->quit();
        } else if (std::exchange(state.waiting, false)) {
          go_on();
        }
      },
  };
}

void ask(caf::event_based_actor* self, const caf::actor& there, const std::string& body,
         const std::shared_ptr<std::vector<std::uint64_t>>& times, std::size_t total,
         std::promise<std::vector<std::uint64_t>>* done) {
  self->request(there, std::chrono::seconds{5}, echo_atom::value, body)
      .then(
          [=, begin = clock::now()](const std::string&) {
            times->push_back(static_cast<std::uint64_t>((clock::now() - begin).count()));
            if (times->size() < total)
              return ask(self, there, body, times, total, done);
            done->set_value(std::move(*times));
          },
          [=](const caf::error& error) {
            done->set_exception(std::make_exception_ptr(std::runtime_error{self->system().render(error)}));
          });
}

class basp_rival : public rival {
public:
  explicit basp_rival(std::uint16_t port) {
    auto found = self_.system->middleman().remote_actor("127.0.0.1", port);
    if (!found)
      throw std::runtime_error{"BASP: " + self_.system->render(found.error())};
    there_ = *found;
  }

  std::vector<std::uint64_t> round_trips(std::size_t bytes, std::size_t count) override {
    std::promise<std::vector<std::uint64_t>> done;
    self_.system->spawn([&](caf::event_based_actor* self) {
      ask(self, there_, std::string(bytes, 'x'), std::make_shared<std::vector<std::uint64_t>>(), count, &done);
    });
    return done.get_future().get();
  }

  double one_way(std::size_t bytes, std::size_t count) override {
    std::promise<double> done;
    self_.system->spawn(source, there_, bytes, count, &done);
    return done.get_future().get();
  }

private:
  basp_system self_;
  caf::actor there_;
};

} // namespace

void serve_basp() {
  basp_system self;
  const auto there = self.system->spawn(sink);
  const auto port = self.system->middleman().publish(there, 0, "127.0.0.1");
  if (!port)
    throw std::runtime_error{"BASP: " + self.system->render(port.error())};
  std::cout << *port << std::endl;
  test::wait_for_parent();
  caf::anon_send_exit(there, caf::exit_reason::user_shutdown);
}

std::unique_ptr<rival> connect_basp(std::uint16_t port) {
  return std::make_unique<basp_rival>(port);
}

} // namespace glocal::bench
