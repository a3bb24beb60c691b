// The other process of process_test.cpp: a node with a parrot, an actor that never handles anything, and one that sees
// whether what it gets is in order.
// Usage: transport_peer SILENCE_LIMIT_MS NODE; prints its port, ends with its standard input.

#include "runtime/tcp_transport.hpp"
#include "runtime/test_actors.hpp"
#include "tests/support/child_process.hpp"
#include "tests/transport/limits.hpp"

#include "base/log.hpp"

#include <caf/all.hpp>

#include <cstdlib>
#include <iostream>

using namespace glocal;
using namespace glocal::runtime;

namespace {

struct stalled : observed_actor {
  explicit stalled(caf::actor_config& config) : observed_actor{config, "stalled", "stalled"} {}
  caf::behavior make_behavior() override {
    set_default_handler(caf::skip);
    return {[](wake_atom) {}};
  }
};

/// Is cast the numbers from 0 on; answers how many came, and the first that was not the next.
struct counting : observed_actor {
  explicit counting(caf::actor_config& config) : observed_actor{config, "counting", "counting"} {}
  caf::behavior make_behavior() override {
    return {[this](wire_cast_atom, const std::string&, const wire_message& message) {
              const auto number = runtime::test::heard(message);
              if (number != std::to_string(came_++) && wrong_.empty())
                wrong_ = ", but " + number + " came as " + std::to_string(came_ - 1);
            },
            [this](wire_request_atom, const std::string&, const wire_message& message) {
              return runtime::test::say(message.kind, std::to_string(came_) + wrong_);
            }};
  }

private:
  std::size_t came_ = 0;
  std::string wrong_;
};

} // namespace

int main(int argc, char** argv) {
  spdlog::set_level(spdlog::level::err);
  const std::string node = argc > 2 ? argv[2] : "b";
  system_config config{system_options{.node = node}};
  caf::actor_system system{config};
  const auto names = std::make_shared<directory>();
  const auto silence = std::chrono::milliseconds{argc > 1 ? std::atoi(argv[1]) : 60'000};
  const auto made = spawn_tcp_transport(
      system, {.self = {node, "test", 1}, .limits = runtime::test::process_limits(silence), .directory = names});
  if (!made) {
    std::cerr << made.error() << '\n';
    return 1;
  }
  names->add("parrot", system.spawn<runtime::test::parrot>());
  names->add("stalled", system.spawn<stalled>());
  names->add("counting", system.spawn<counting>());
  std::cout << made->port << std::endl;
  glocal::test::wait_for_parent();
  // Whatever is still under way ends with the process.
  std::_Exit(0);
}
