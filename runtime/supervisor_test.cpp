#include "runtime/supervisor.hpp"

#include "runtime/simulation.hpp"
#include "runtime/test_actors.hpp"

#include <catch2/catch.hpp>

using namespace glocal;
using namespace glocal::runtime;
using namespace glocal::runtime::test;
using namespace std::chrono_literals;

namespace {

/// Parrots under a supervisor; what starts and ends is kept in order.
struct family {
  explicit family(supervisor_options options, std::vector<child_spec> children)
      : top{sim.own(sim.system().spawn<supervisor>("top", options, std::move(children), names))} {
    sim.own(sim.system().spawn([this](caf::event_based_actor* self) -> caf::behavior {
      self->monitor(top);
      self->set_down_handler([this](caf::down_msg& down) { end = down.reason; });
      return {[](int) {}};
    }));
    sim.run();
  }

  void make_fail(const std::string& name, std::uint16_t how = kinds::fail) {
    const auto who = names->find(name);
    REQUIRE(who);
    caf::anon_send(who, wire_request_atom_v, std::string{"test"}, say(how));
    sim.run();
  }

  actor_record record_of(const std::string& name) {
    for (auto& record : sim.observatory().snapshot())
      if (record.name == name)
        return record;
    FAIL("no record of " << name);
    return {};
  }

  simulation sim;
  std::shared_ptr<directory> names = std::make_shared<directory>();
  std::optional<caf::error> end;
  caf::actor top;
};

using events = std::shared_ptr<std::vector<std::string>>;

child_spec bird(const std::string& name, const events& log, restart_policy policy = restart_policy::permanent) {
  return {name,
          [name, log](caf::local_actor& parent) {
            log->push_back("start " + name);
            auto actor = parent.spawn<parrot>(name);
            caf::actor_cast<caf::abstract_actor*>(actor)->attach_functor(
                [name, log] { log->push_back("end " + name); });
            return actor;
          },
          policy, name};
}

events make_log() {
  return std::make_shared<std::vector<std::string>>();
}
using list = std::vector<std::string>;

} // namespace

TEST_CASE("a child that fails is started again, registered and counted") {
  const auto log = make_log();
  family f{{}, {bird("a", log), bird("b", log)}};
  const auto before = f.names->find("a"), other = f.names->find("b");
  f.make_fail("a");
  CHECK(*log == list{"start a", "start b", "end a", "start a"});
  const auto after = f.names->find("a");
  REQUIRE(after);
  CHECK(after != before);
  CHECK(f.names->find("b") == other);
  const auto record = f.record_of("a");
  CHECK(record.restarts == 1);
  CHECK_THAT(record.last_error, Catch::Contains("a bug"));
  CHECK(record.parent == f.record_of("top").id);
  CHECK(f.record_of("b").restarts == 0);
  CHECK_FALSE(f.end);
}

TEST_CASE("rest_for_one also restarts what was started later, in order") {
  const auto log = make_log();
  family f{{.strategy = restart_strategy::rest_for_one},
           {bird("a", log), bird("b", log), bird("c", log), bird("d", log, restart_policy::temporary)}};
  log->clear();
  f.make_fail("b");
  CHECK(*log == list{"end b", "end d", "end c", "start b", "start c"});
  CHECK(f.names->find("b"));
  CHECK(f.names->find("c"));
  CHECK_FALSE(f.names->find("d")); // temporary children are not started again
}

TEST_CASE("restart policies: transient restarts failures only, temporary never, permanent always") {
  const auto log = make_log();
  family f{{},
           {bird("transient", log, restart_policy::transient), bird("temporary", log, restart_policy::temporary),
            bird("permanent", log)}};
  log->clear();
  f.make_fail("transient");
  CHECK(*log == list{"end transient", "start transient"});
  log->clear();
  f.make_fail("transient", kinds::end);
  f.make_fail("temporary");
  CHECK(*log == list{"end transient", "end temporary"});
  CHECK_FALSE(f.names->find("temporary"));
  log->clear();
  f.make_fail("permanent", kinds::end);
  CHECK(*log == list{"end permanent", "start permanent"});
}

TEST_CASE("too many restarts within the window end the supervisor, last child first") {
  const auto log = make_log();
  family f{{.max_restarts = 3, .window = 1s}, {bird("a", log), bird("b", log), bird("c", log)}};
  for (int i = 0; i < 3; ++i)
    f.make_fail("b");
  CHECK_FALSE(f.end);
  log->clear();
  f.make_fail("b");
  REQUIRE(f.end);
  CHECK(*f.end == make_error(supervision_errc::restart_intensity, ""));
  CHECK_THAT(describe(*f.end), Catch::Contains("b failed again") && Catch::Contains("a bug"));
  CHECK(*log == list{"end b", "end c", "end a"});
  CHECK(f.names->entries().empty());
}

TEST_CASE("restarts that are far apart are forgiven") {
  const auto log = make_log();
  family f{{.max_restarts = 1, .window = 1s}, {bird("a", log)}};
  for (int i = 0; i < 10; ++i) {
    f.make_fail("a");
    f.sim.advance(1100ms);
  }
  CHECK_FALSE(f.end);
  CHECK(f.record_of("a").restarts == 10);
}

TEST_CASE("an escalation is a failure for the supervisor above") {
  const auto log = make_log();
  auto names = std::make_shared<directory>();
  const child_spec inner{"inner",
                         [log, names](caf::local_actor& parent) {
                           return parent.spawn<supervisor>("inner", supervisor_options{.max_restarts = 0},
                                                           std::vector{bird("a", log)}, names);
                         },
                         restart_policy::permanent, ""};
  family f{{}, {inner}};
  caf::anon_send(names->find("a"), wire_request_atom_v, std::string{"test"}, say(kinds::fail));
  f.sim.run();
  CHECK(*log == list{"start a", "end a", "start a"});
  CHECK(f.record_of("inner").restarts == 1);
  CHECK_FALSE(f.end);
}

TEST_CASE("a child that never starts escalates; one that starts at the second try does not") {
  int tries = 0;
  const auto log = make_log();
  const child_spec never{"never",
                         [&](caf::local_actor&) -> caf::actor {
                           ++tries;
                           throw std::runtime_error{"no disk"};
                         },
                         restart_policy::permanent, ""};
  family bad{{.max_restarts = 2}, {never}};
  REQUIRE(bad.end);
  CHECK(tries == 3);
  CHECK_THAT(describe(*bad.end), Catch::Contains("no disk"));

  tries = 0;
  auto later = bird("later", log);
  later.start = [&tries, start = later.start](caf::local_actor& parent) {
    return ++tries < 2 ? caf::actor{} : start(parent);
  };
  family good{{}, {later, bird("after", log)}};
  CHECK_FALSE(good.end);
  CHECK(*log == list{"start later", "start after"});
}

TEST_CASE("children come and go on request") {
  const auto log = make_log();
  family f{{}, {}};
  caf::actor child;
  std::vector<std::string> errors;
  bool stopped = false;
  const auto ask = [&](auto... what) {
    f.sim.system().spawn([&, what...](caf::event_based_actor* self) {
      self->request(f.top, caf::infinite, what...)
          .then([&](const caf::actor& made) { child = made; },
                [&](const caf::error& error) { errors.push_back(describe(error)); });
    });
    f.sim.run();
  };
  ask(start_child_atom_v, bird("web", log));
  REQUIRE(child);
  CHECK(f.names->find("web") == child);
  ask(start_child_atom_v, bird("web", log));
  REQUIRE(errors.size() == 1);
  CHECK_THAT(errors[0], Catch::Contains("there already"));
  const auto stop = [&] {
    f.sim.system().spawn([&](caf::event_based_actor* self) {
      self->request(f.top, caf::infinite, stop_child_atom_v, std::string{"web"})
          .then([&] { stopped = true; }, [&](const caf::error& error) { errors.push_back(describe(error)); });
    });
    f.sim.run();
  };
  stop();
  CHECK(stopped);
  CHECK(*log == list{"start web", "end web"}); // not started again, though permanent
  CHECK_FALSE(f.names->find("web"));
  stop();
  CHECK(errors.size() == 2);
  ask(start_child_atom_v, bird("web", log));
  CHECK(errors.size() == 2); // the name is free again
}

TEST_CASE("a supervisor that is asked to end stops its children first, in reverse order") {
  const auto log = make_log();
  family f{{}, {bird("a", log), bird("b", log), bird("c", log)}};
  log->clear();
  caf::anon_send_exit(f.top, caf::exit_reason::user_shutdown);
  f.sim.run();
  CHECK(*log == list{"end c", "end b", "end a"});
  CHECK(f.end == caf::error{caf::exit_reason::user_shutdown});
}

TEST_CASE("a child that ignores the request to end is killed") {
  const child_spec stubborn{"stubborn",
                            [](caf::local_actor& parent) -> caf::actor {
                              return parent.spawn([](caf::event_based_actor* self) -> caf::behavior {
                                self->set_exit_handler([](caf::exit_msg&) {});
                                return {[](int) {}};
                              });
                            },
                            restart_policy::permanent, "stubborn"};
  family f{{.stop_patience = 100ms}, {stubborn}};
  caf::anon_send_exit(f.top, caf::exit_reason::user_shutdown);
  f.sim.run();
  CHECK_FALSE(f.end);
  f.sim.advance(200ms);
  CHECK(f.end == caf::error{caf::exit_reason::user_shutdown});
  CHECK_FALSE(f.names->find("stubborn"));
}

TEST_CASE("a supervisor that is killed takes its children along") {
  const auto log = make_log();
  family f{{}, {bird("a", log)}};
  caf::anon_send_exit(f.top, caf::exit_reason::kill);
  f.sim.run();
  CHECK(*log == list{"start a", "end a"});
}

TEST_CASE("main sees the end of the top supervisor, with worker threads") {
  system_config config{system_options{.node = "n"}};
  caf::actor_system system{config};
  const auto log = make_log();
  const auto names = std::make_shared<directory>();
  auto top = system.spawn<supervisor>("top", supervisor_options{.max_restarts = 0}, std::vector{bird("a", log)}, names);
  CHECK(wait_for_end(system, top, 0ms) == nullptr);
  caf::actor child;
  for (int i = 0; !child && i < 10'000; ++i) {
    child = names->find("a");
    std::this_thread::yield();
  }
  REQUIRE(child);
  caf::anon_send(child, wire_request_atom_v, std::string{"test"}, say(kinds::fail));
  const auto reason = wait_for_end(system, top, 10s);
  REQUIRE(reason);
  CHECK(*reason == make_error(supervision_errc::restart_intensity, ""));
  auto second = system.spawn<supervisor>("top", supervisor_options{}, std::vector{bird("a", log)}, names);
  CHECK(stop_and_wait(system, second, 10s));
}
