// The rules every transport keeps, on the in-memory network, in virtual time.

#include "runtime/simulation.hpp"
#include "runtime/test_actors.hpp"

#include <catch2/catch.hpp>

using namespace glocal;
using namespace glocal::runtime;
using namespace glocal::runtime::test;
using namespace std::chrono_literals;

namespace {

/// Nodes a and b with a parrot each, on a network of their own.
struct two_nodes {
  explicit two_nodes(std::optional<std::uint64_t> seed = std::nullopt, const transport_limits& limits = {})
      : sim{seed}, a{sim.node("a", limits)}, b{sim.node("b", limits)} {
    a.directory->add("parrot", sim.own(sim.system().spawn<parrot>("a/parrot", heard_a)));
    b.directory->add("parrot", sim.own(sim.system().spawn<parrot>("b/parrot", heard_b)));
    sim.run();
  }

  transport_errc error_of(const std::shared_ptr<outcome>& answer) {
    REQUIRE(answer->error);
    return as_transport_error(*answer->error);
  }

  transport_stats stats(const transport& of) {
    auto result = std::make_shared<transport_stats>();
    sim.system().spawn([&of, result](caf::event_based_actor* self) {
      self->request(of.router, caf::infinite, stats_atom_v).then([result](const transport_stats& stats) {
        *result = stats;
      });
    });
    sim.run();
    return *result;
  }

  /// What a subscriber on `on` is told, in order.
  std::shared_ptr<std::vector<std::string>> watch_peers(const transport& on) {
    auto log = std::make_shared<std::vector<std::string>>();
    sim.own(sim.system().spawn([on, log](caf::event_based_actor* self) -> caf::behavior {
      subscribe_peers(self, on);
      return {[log](peer_up_atom, const std::string& node) { log->push_back("up " + node); },
              [log](peer_down_atom, const std::string& node, const std::string& why) {
                log->push_back("down " + node + ": " + why);
              }};
    }));
    sim.run();
    return log;
  }

  simulation sim;
  parrot::log heard_a = std::make_shared<std::vector<std::string>>(),
              heard_b = std::make_shared<std::vector<std::string>>();
  transport a, b;
  const address there{"b", "parrot"}, here{"a", "parrot"};
};

/// Asks and tells a name nobody has, on its own node and on b.
class writer : public observed_actor {
public:
  writer(caf::actor_config& cfg, const transport& via) : observed_actor{cfg, "writer", "writer"}, via_{via} {}
  caf::behavior make_behavior() override {
    for (const auto& node : {via_.node, std::string{"b"}})
      runtime::request(this, via_, {node, "ghost"}, say(kinds::refuse))
          .then([](const wire_message&) {}, [](const caf::error&) {});
    runtime::cast(this, via_, {via_.node, "ghost"}, say(kinds::echo));
    return {[](int) {}};
  }

private:
  const transport via_;
};

using strings = std::vector<std::string>;
const auto echo = std::to_string(kinds::echo), refuse = std::to_string(kinds::refuse);

} // namespace

TEST_CASE("a request is answered by the actor of the other node") {
  two_nodes t;
  const auto answer = t.sim.ask(t.a, t.there, say(kinds::echo, "good day"));
  t.sim.run();
  REQUIRE(answer->reply);
  CHECK(answer->reply->kind == kinds::echo);
  CHECK(heard(*answer->reply) == "good day");
  CHECK(*t.heard_b == std::vector<std::string>{"a asks good day"});
}

TEST_CASE("a request without a body is answered without one") {
  two_nodes t;
  const auto answer = t.sim.ask(t.a, t.there, {kinds::echo, {}});
  t.sim.run();
  REQUIRE(answer->reply);
  CHECK(answer->reply->view().empty());
}

TEST_CASE("a node's own actors are reached by the same calls, also those that go the long way") {
  two_nodes t;
  const auto answer = t.sim.ask(t.a, t.here, say(kinds::echo, "hi"));
  t.sim.run();
  REQUIRE(answer->reply);
  auto routed = std::make_shared<std::string>();
  t.sim.system().spawn([&, routed](caf::event_based_actor* self) {
    self->request(t.a.out->requests(), caf::infinite, request_atom_v, t.here, say(kinds::echo, "ho"), caf::timespan{1s})
        .then([routed](const wire_message& reply) { *routed = heard(reply); });
    CHECK(t.a.out->cast(t.here, "", kinds::echo, say(kinds::echo, "hum").view()));
  });
  t.sim.run();
  CHECK(*routed == "ho");
  CHECK(*t.heard_a == std::vector<std::string>{"a asks hi", "a asks ho", "a says hum"});
}

TEST_CASE("casts arrive in the order they were sent") {
  two_nodes t;
  t.sim.system().spawn([&](caf::event_based_actor* self) {
    for (int i = 0; i < 50; ++i)
      runtime::cast(self, t.a, t.there, say(kinds::echo, std::to_string(i)));
  });
  t.sim.run();
  REQUIRE(t.heard_b->size() == 50);
  for (int i = 0; i < 50; ++i)
    CHECK((*t.heard_b)[static_cast<std::size_t>(i)] == "a says " + std::to_string(i));
}

TEST_CASE("a message to a name nobody has is a dead letter, by sender, receiver and kind") {
  two_nodes t;
  const auto far = t.sim.ask(t.a, {"b", "ghost"}, say(kinds::echo));
  const auto near = t.sim.ask(t.a, {"a", "ghost"}, say(kinds::refuse));
  t.sim.tell(t.a, {"b", "ghost"}, say(kinds::echo));
  t.sim.run();
  CHECK(t.error_of(far) == transport_errc::no_such_actor);
  CHECK(t.error_of(near) == transport_errc::no_such_actor);
  CHECK(letters_in(t.b.directory->letters()) == strings{"2 scheduled_actor@a > ghost: " + echo});
}

TEST_CASE("the node of a dead letter's sender knows the actor, also when another node sent a request back") {
  two_nodes t;
  t.sim.own(t.sim.system().spawn<writer>(t.a));
  t.sim.run();
  CHECK(letters_in(t.a.directory->letters()) == strings{"1 writer > ghost: " + echo, "1 writer > ghost: " + refuse,
                                                        "1 writer > ghost@b: " + refuse + ", returned"});
  CHECK(letters_in(t.b.directory->letters()) == strings{"1 writer@a > ghost: " + refuse});
}

TEST_CASE("a name is resolved again for each message, so a restarted actor is found and its absence is counted") {
  two_nodes t;
  const auto ask = [&](const transport& from) { return t.sim.ask(from, {"b", "phoenix"}, say(kinds::echo)); };
  for (int life = 0; life < 3; ++life) {
    const auto bird = t.sim.system().spawn<parrot>("phoenix");
    t.b.directory->add("phoenix", bird);
    const auto near = ask(t.b), far = ask(t.a);
    t.sim.run();
    CHECK(near->reply);
    CHECK(far->reply);
    caf::anon_send_exit(bird, caf::exit_reason::kill);
    t.sim.run();
    const auto gone = ask(t.a);
    t.sim.run();
    CHECK(t.error_of(gone) == transport_errc::no_such_actor);
  }
  CHECK(letters_in(t.b.directory->letters()) == strings{"3 scheduled_actor@a > phoenix: " + echo});
}

TEST_CASE("an actor's own error reaches the requester with its text") {
  two_nodes t;
  const auto answer = t.sim.ask(t.a, t.there, say(kinds::refuse));
  const auto thrown = t.sim.ask(t.a, t.there, say(kinds::fail));
  t.sim.run();
  CHECK(t.error_of(answer) == transport_errc::refused);
  CHECK_THAT(describe(*answer->error), Catch::Contains("not today"));
  REQUIRE(thrown->error);
}

TEST_CASE("a request nobody answers times out, and its late reply is nobody's") {
  two_nodes t;
  const auto answer = t.sim.ask(t.a, t.there, say(kinds::never), 300ms);
  t.sim.advance(290ms);
  CHECK_FALSE(answer->error);
  t.sim.advance(100ms);
  CHECK(t.error_of(answer) == transport_errc::timeout);
  CHECK(t.stats(t.a).peers.at("b").outstanding == 0);
}

TEST_CASE("when the connection breaks, what is outstanding fails at once") {
  two_nodes t;
  const auto first = t.sim.ask(t.a, t.there, say(kinds::never), 60s);
  const auto second = t.sim.ask(t.a, t.there, say(kinds::never), 60s);
  t.sim.run();
  CHECK_FALSE(first->error);
  t.sim.network().disconnect("b", "a");
  t.sim.run(); // no time passes
  CHECK(t.error_of(first) == transport_errc::peer_gone);
  CHECK(t.error_of(second) == transport_errc::peer_gone);
}

TEST_CASE("a node that is not there is unreachable at once, also between two attempts") {
  two_nodes t;
  const auto first = t.sim.ask(t.a, {"nowhere", "x"}, say(kinds::echo), 60s);
  const auto second = t.sim.ask(t.a, {"nowhere", "x"}, say(kinds::echo), 60s);
  t.sim.run();
  CHECK(t.error_of(first) == transport_errc::unreachable);
  CHECK(t.error_of(second) == transport_errc::unreachable);
}

TEST_CASE("subscribers learn of peers that come, go and come back") {
  two_nodes t;
  const auto log = t.watch_peers(t.b);
  CHECK(log->empty());
  (void)t.sim.ask(t.a, t.there, say(kinds::echo));
  t.sim.run();
  CHECK(*log == std::vector<std::string>{"up a"});
  CHECK(*t.watch_peers(t.a) == std::vector<std::string>{"up b"}); // those that are up already
  t.sim.network().disconnect("a", "b");
  t.sim.run();
  CHECK(log->back() == "down a: disconnected");
  t.sim.advance(1s); // nobody asks for anything: the router comes back by itself
  CHECK(*log == std::vector<std::string>{"up a", "down a: disconnected", "up a"});
}

TEST_CASE("a lost peer nobody talks to is given up after a while") {
  two_nodes t;
  (void)t.sim.ask(t.a, t.there, say(kinds::echo));
  t.sim.run();
  t.sim.network().partition({{"a"}, {"b"}});
  t.sim.advance(120s);
  t.sim.network().heal();
  const auto log = t.watch_peers(t.a);
  t.sim.advance(60s);
  CHECK(log->empty());
}

TEST_CASE("a partition separates and healing reconnects") {
  two_nodes t;
  (void)t.sim.ask(t.a, t.there, say(kinds::echo));
  t.sim.run();
  const auto outstanding = t.sim.ask(t.a, t.there, say(kinds::never), 60s);
  t.sim.run();
  t.sim.network().partition({{"a"}, {"b"}});
  t.sim.run();
  CHECK(t.error_of(outstanding) == transport_errc::peer_gone);
  const auto during = t.sim.ask(t.a, t.there, say(kinds::echo));
  t.sim.run();
  CHECK(t.error_of(during) == transport_errc::unreachable);
  t.sim.network().heal();
  t.sim.advance(5s);
  const auto after = t.sim.ask(t.a, t.there, say(kinds::echo));
  t.sim.run();
  CHECK(after->reply);
}

TEST_CASE("fault plans drop and delay frames, and delayed ones keep their order") {
  two_nodes t;
  (void)t.sim.ask(t.a, t.there, say(kinds::echo, "connect"));
  t.sim.run();
  int frames = 0;
  t.sim.network().set_faults([&](const frame_event& event) {
    CHECK(event.to != event.from);
    return frame_verdict{.drop = event.reply, .delay = frames++ == 0 ? 200ms : 0ms};
  });
  const auto answer = t.sim.ask(t.a, t.there, say(kinds::echo, "slow"), 1s);
  t.sim.run();
  t.sim.tell(t.a, t.there, say(kinds::echo, "fast"));
  t.sim.run();
  CHECK(t.heard_b->size() == 1);
  t.sim.advance(200ms);
  CHECK(*t.heard_b == std::vector<std::string>{"a asks connect", "a asks slow", "a says fast"});
  t.sim.advance(1s); // the reply was dropped
  CHECK(t.error_of(answer) == transport_errc::timeout);
}

TEST_CASE("bodies that are too large or no whole words are refused by the sender") {
  two_nodes t;
  const auto large = t.sim.ask(t.a, t.there, make_message(kinds::echo, bytes(max_body_bytes + 8)));
  const auto odd = t.sim.ask(t.a, t.there, make_message(kinds::echo, bytes(12)));
  t.sim.run();
  CHECK(t.error_of(large) == transport_errc::too_large);
  CHECK(t.error_of(odd) == transport_errc::too_large);
  CHECK(t.heard_b->empty());
}

TEST_CASE("the largest body crosses") {
  two_nodes t;
  bytes body(max_body_bytes);
  const std::uint64_t table = (max_body_bytes / 8 - 1) << 32; // one segment, null root
  std::memcpy(body.data(), &table, sizeof table);
  const auto answer = t.sim.ask(t.a, t.there, make_message(kinds::echo, std::move(body)));
  t.sim.run();
  REQUIRE(answer->reply);
  CHECK(answer->reply->view().size() == max_body_bytes);
}

TEST_CASE("a body that is not valid Cap'n Proto ends the connection and nothing else") {
  two_nodes t;
  const auto log = t.watch_peers(t.b);
  const auto outstanding = t.sim.ask(t.a, t.there, say(kinds::never), 60s);
  const auto bad = t.sim.ask(t.a, t.there, make_message(kinds::echo, bytes(64, std::byte{0xff})), 60s);
  t.sim.run();
  CHECK(t.error_of(outstanding) == transport_errc::peer_gone);
  CHECK(t.error_of(bad) == transport_errc::peer_gone);
  REQUIRE(log->size() == 2);
  CHECK_THAT(log->back(), Catch::Contains("not valid Cap'n Proto"));
  CHECK(t.stats(t.b).invalid_frames == 1);
  CHECK(*t.heard_b == std::vector<std::string>{"a asks hello"});
  const auto again = t.sim.ask(t.a, t.there, say(kinds::echo), 60s);
  t.sim.advance(1s);
  CHECK((again->reply || t.error_of(again) == transport_errc::unreachable)); // within the pause, or after it
  const auto later = t.sim.ask(t.a, t.there, say(kinds::echo), 60s);
  t.sim.run();
  CHECK(later->reply);
}

TEST_CASE("a body its actor calls malformed ends the connection it came by") {
  two_nodes t;
  const auto answer = t.sim.ask(t.a, t.there, say(kinds::malformed), 60s);
  t.sim.run();
  CHECK(answer->error);
  CHECK(t.stats(t.b).invalid_frames == 1);
  CHECK_THAT(t.stats(t.b).peers.at("a").last_reason, Catch::Contains("not what its kind promises"));
}

TEST_CASE("what is under way to a slow peer is bounded") {
  transport_limits limits;
  limits.window_bytes = 10'000;
  two_nodes t{std::nullopt, limits};
  (void)t.sim.ask(t.a, t.there, say(kinds::echo));
  t.sim.run();
  t.sim.network().set_faults([](const frame_event&) { return frame_verdict{.drop = false, .delay = 5s}; });
  std::vector<std::shared_ptr<outcome>> answers;
  for (int i = 0; i < 200; ++i) {
    answers.push_back(t.sim.ask(t.a, t.there, say(kinds::echo, std::string(200, 'x')), 60s));
    t.sim.tell(t.a, t.there, say(kinds::echo, std::string(200, 'x')));
  }
  t.sim.run();
  const auto overloaded = std::count_if(answers.begin(), answers.end(), [](const auto& answer) {
    return answer->error && as_transport_error(*answer->error) == transport_errc::overloaded;
  });
  CHECK(overloaded > 150);
  CHECK(t.stats(t.a).peers.at("b").under_way_bytes <= 10'500);
  CHECK(t.stats(t.a).lost_casts > 150);
  t.sim.advance(60s);
  for (const auto& answer : answers)
    CHECK((answer->reply || answer->error)); // every request ended
}

TEST_CASE("requests outstanding at one peer are bounded") {
  transport_limits limits;
  limits.max_outstanding = 10;
  two_nodes t{std::nullopt, limits};
  std::vector<std::shared_ptr<outcome>> answers;
  answers.reserve(12);
  for (int i = 0; i < 12; ++i)
    answers.push_back(t.sim.ask(t.a, t.there, say(kinds::never), 60s));
  t.sim.run();
  CHECK_FALSE(answers[9]->error);
  CHECK(t.error_of(answers[10]) == transport_errc::overloaded);
  CHECK(t.error_of(answers[11]) == transport_errc::overloaded);
}

TEST_CASE("nodes of different clusters do not talk") {
  two_nodes t;
  const auto stranger = t.sim.node("c", {}, "another");
  const auto answer = t.sim.ask(t.a, {"c", "x"}, say(kinds::echo));
  t.sim.run();
  CHECK(t.error_of(answer) == transport_errc::unreachable);
  CHECK_THAT(describe(*answer->error), Catch::Contains("another cluster"));
}

TEST_CASE("a router that is told to end fails what is outstanding") {
  two_nodes t;
  const auto answer = t.sim.ask(t.a, t.there, say(kinds::never), 60s);
  t.sim.run();
  caf::anon_send_exit(t.a.router, caf::exit_reason::user_shutdown);
  t.sim.run();
  CHECK(t.error_of(answer) == transport_errc::peer_gone);
  const auto after = t.sim.ask(t.a, t.there, say(kinds::echo));
  t.sim.run();
  CHECK(after->error);
}

TEST_CASE("traffic is counted per peer and kind") {
  two_nodes t;
  for (int i = 0; i < 3; ++i)
    (void)t.sim.ask(t.a, t.there, say(kinds::echo));
  t.sim.run();
  const auto stats = t.stats(t.a);
  const auto& kind = stats.peers.at("b").kinds.at(kinds::echo);
  CHECK(kind.messages_out == 3);
  CHECK(kind.messages_in == 3);
  CHECK(kind.bytes_out == kind.bytes_in); // the same body, a header each
  CHECK(stats.peers.at("b").connects == 1);
}

TEST_CASE("a seed decides a run") {
  const auto run = [](std::uint64_t seed) {
    two_nodes t{seed};
    for (int i = 0; i < 20; ++i) {
      (void)t.sim.ask(t.a, t.there, say(kinds::echo, std::to_string(i)));
      t.sim.tell(t.b, t.here, say(kinds::echo, std::to_string(i)));
    }
    t.sim.advance(100ms);
    auto trace = *t.heard_b;
    trace.insert(trace.end(), t.heard_a->begin(), t.heard_a->end());
    REQUIRE(trace.size() == 40);
    return trace;
  };
  CHECK(run(1) == run(1));
  CHECK(run(2) == run(2));
  CHECK(run(1) != run(2));
}

TEST_CASE("a name belongs to the newest and goes with its owner") {
  simulation sim;
  directory names;
  const auto first = sim.system().spawn<parrot>("first"), second = sim.system().spawn<parrot>("second");
  names.add("parrot", first);
  names.add("parrot", second);
  CHECK(names.find("parrot") == second);
  caf::anon_send_exit(first, caf::exit_reason::user_shutdown);
  sim.run();
  CHECK(names.find("parrot") == second); // the former owner's end is not the name's
  names.remove("parrot", first);
  CHECK(names.find("parrot") == second);
  caf::anon_send_exit(second, caf::exit_reason::user_shutdown);
  sim.run();
  CHECK_FALSE(names.find("parrot"));
  CHECK(names.entries().empty());
}

TEST_CASE("dead letters to made-up names are bounded, in number and length") {
  dead_letters letters;
  for (std::size_t i = 0; i < 2 * dead_letters::max_keys; ++i)
    letters.count({.from = "@a", .to = "name" + std::to_string(i), .kind = 1});
  letters.count({.from = "@a", .to = "name0", .kind = 1});
  letter_counts counts;
  letters.add_to(counts);
  CHECK(counts.size() == dead_letters::max_keys + 1);
  CHECK(counts.at({"(other)", "(other)", 0, "(other)"}) == dead_letters::max_keys);
  CHECK(counts.at({.from = "@a", .to = "name0", .kind = 1}) == 2);

  dead_letters one;
  one.count({.from = "@a", .to = std::string(10'000, 'x'), .kind = 1});
  letter_counts cut;
  one.add_to(cut);
  CHECK(cut.begin()->first.to.size() == dead_letters::max_name_bytes);
}
