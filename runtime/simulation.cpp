#include "runtime/simulation.hpp"

#include <caf/all.hpp>
#include <caf/scheduler/test_coordinator.hpp>

namespace glocal::runtime {

simulation::simulation(std::optional<std::uint64_t> seed)
    : config_{system_options{.node = "simulation", .deterministic = true}}, system_{config_},
      scheduler_{dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler())} {
  if (seed)
    random_.emplace(*seed);
}

simulation::~simulation() {
  for (const auto& actor : owned_)
    caf::anon_send_exit(actor, caf::exit_reason::kill);
  owned_.clear();
  run();
  // Delayed messages hold their receivers alive.
  while (scheduler_.trigger_timeout())
    run();
}

transport simulation::node(const std::string& name, const transport_limits& limits, const std::string& cluster) {
  auto made = network_.spawn_router(system_, {name, cluster, 1}, std::make_shared<directory>(), limits);
  own(made.router);
  run();
  return made;
}

caf::actor simulation::own(caf::actor actor) {
  return owned_.emplace_back(std::move(actor));
}

std::shared_ptr<outcome> simulation::ask(const transport& from, const address& to, const wire_message& message,
                                         std::chrono::milliseconds timeout) {
  auto result = std::make_shared<outcome>();
  system_.spawn([=](caf::event_based_actor* self) {
    runtime::request(self, from, to, message, timeout)
        .then([result](const wire_message& reply) { result->reply = reply; },
              [result](const caf::error& error) { result->error = error; });
  });
  return result;
}

void simulation::tell(const transport& from, const address& to, const wire_message& message) {
  system_.spawn([=](caf::event_based_actor* self) { runtime::cast(self, from, to, message); });
}

bool simulation::step() {
  auto& jobs = scheduler_.jobs;
  if (random_ && jobs.size() > 1)
    std::swap(jobs.front(), jobs[(*random_)() % jobs.size()]);
  return scheduler_.try_run_once();
}

std::size_t simulation::run(std::size_t limit) {
  std::size_t handled = 0;
  while (handled < limit && step())
    ++handled;
  return handled;
}

caf::actor_clock::time_point simulation::now() const noexcept {
  return scheduler_.clock().current_time;
}

void simulation::advance(std::chrono::milliseconds span) {
  run();
  auto& clock = scheduler_.clock();
  const auto end = clock.current_time + span;
  // In steps, so that what one time-out causes can fall due within the same span.
  constexpr std::chrono::milliseconds stride{10};
  while (clock.current_time < end) {
    clock.advance_time(std::min<caf::timespan>(stride, end - clock.current_time));
    run();
  }
}

} // namespace glocal::runtime
