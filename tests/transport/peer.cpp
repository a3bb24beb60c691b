// The other process of process_test.cpp: node b with a parrot, and an actor that never handles anything.
// Usage: transport_peer SILENCE_LIMIT_MS; prints its port, ends with its standard input.

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

} // namespace

int main(int argc, char** argv) {
  spdlog::set_level(spdlog::level::err);
  system_config config{system_options{.node = "b"}};
  caf::actor_system system{config};
  const auto names = std::make_shared<directory>();
  const auto silence = std::chrono::milliseconds{argc > 1 ? std::atoi(argv[1]) : 60'000};
  const auto made = spawn_tcp_transport(
      system, {.self = {"b", "test", 1}, .limits = runtime::test::process_limits(silence), .directory = names});
  if (!made) {
    std::cerr << made.error() << '\n';
    return 1;
  }
  names->add("parrot", system.spawn<runtime::test::parrot>());
  names->add("stalled", system.spawn<stalled>());
  std::cout << made->port << std::endl;
  glocal::test::wait_for_parent();
  // Whatever is still under way ends with the process.
  std::_Exit(0);
}
