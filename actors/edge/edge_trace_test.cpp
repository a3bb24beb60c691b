// What the actors of an edge write down of traced packets, how they start and end traces, and what they foretell.

#include "actors/edge/edge_world_test.hpp"

using namespace glocal;
using namespace glocal::actors;
using namespace glocal::actors::testing;

namespace {

using dataplane::trace_record;
using dataplane::trace_step;

std::string text(const trace_entry& entry) {
  std::string out = entry.who + ": " + entry.what;
  for (const auto& field : entry.fields)
    if (field.name != "round_trip_us")
      out += " " + field.name + "=" + entry.text(field.name);
  return out;
}

std::vector<std::string> texts(const std::vector<trace_entry>& entries) {
  std::vector<std::string> out;
  for (const auto& entry : entries)
    out.push_back(text(entry));
  return out;
}

/// Asks an actor for something and keeps what comes back.
template <class Answer>
struct asked {
  std::optional<Answer> answer;
  std::string error;
};
template <class Answer, class Question>
std::shared_ptr<asked<Answer>> ask(world& w, const std::string& name, Question question) {
  struct asker : runtime::observed_actor {
    asker(caf::actor_config& config, caf::actor whom, Question what, std::shared_ptr<asked<Answer>> out)
        : runtime::observed_actor{config, "asker", "asker"}, whom_{std::move(whom)}, what_{std::move(what)},
          out_{std::move(out)} {}
    caf::behavior make_behavior() override {
      request(whom_, 10s, what_)
          .then([this](Answer& answer) { out_->answer = std::move(answer); },
                [this](const caf::error& error) { out_->error = system().render(error); });
      return {[](caf::unit_t) {}};
    }
    caf::actor whom_;
    Question what_;
    std::shared_ptr<asked<Answer>> out_;
  };
  auto out = std::make_shared<asked<Answer>>();
  w.simulation.own(w.simulation.system().spawn<asker>(w.e1.directory->find(name), std::move(question), out));
  w.pass(10ms);
  return out;
}

void wake(world& w) {
  caf::anon_send(w.e1.directory->find(edge_names::switch_agent("e1")), runtime::wake_atom_v);
  w.pass(10ms);
}

/// Plays the switch: answers the probe that was submitted last with `steps`.
void answer_probe(world& w, const std::vector<trace_record>& steps) {
  const auto orders = std::find_if(w.fast_path.orders.rbegin(), w.fast_path.orders.rend(),
                                   [](const auto& order) { return std::holds_alternative<dataplane::probe>(order); });
  REQUIRE(orders != w.fast_path.orders.rend());
  const auto id = std::get<dataplane::probe>(*orders).id;
  for (auto step : steps) {
    step.trace = id;
    w.fast_path.traces.push_back(step);
  }
  trace_record end;
  end.trace = id;
  end.step = trace_step::probe_ended;
  w.fast_path.traces.push_back(end);
  wake(w);
}

trace_record record_of(trace_step step, std::uint8_t detail = 0, std::uint64_t value = 0) {
  trace_record out;
  out.step = step;
  out.detail = detail;
  out.value = value;
  return out;
}

foretell_packet question_of(const char* tuple) {
  foretell_packet out;
  out.fields.tuple = *parse_five_tuple(tuple);
  return out;
}

std::uint64_t session_begun(world& w, begin_trace wanted = {}) {
  const auto begun = ask<std::uint64_t>(w, edge_names::switch_agent("e1"), std::move(wanted));
  INFO(begun->error);
  REQUIRE(begun->answer);
  return *begun->answer;
}

} // namespace

TEST_CASE("the decision of a traced packet is written down: candidates, state, who won, what was programmed") {
  world w;
  w.publish_service();
  const auto before = w.traces->end();
  w.raise(connection, dataplane::packet_in_reason::rule, 0x99);
  const auto record = w.published(connection);
  REQUIRE(record);
  const auto path = model::keys::path(record->path);
  const auto seen = w.traces->read(before, 100).entries;
  CHECK(texts(seen) ==
        std::vector<std::string>{"switch agent: handed_over to=service/web",
                                 "service/web: decided chain=fw-1 policy=least-loaded "
                                 "because=the least loaded of 2 random candidates of each class",
                                 "service/web: path_published path=" + path,
                                 seen.at(3).who + ": put_if_absent result=won proposed_path=" + path +
                                     " version=" + seen.at(3).text("version") + " path=" + path + " decided_by=e1",
                                 "switch agent: programmed path=" + path + " instances=fw-1 at dc owner=true"});
  CHECK_FALSE(seen.at(3).text("round_trip_us").empty());
  for (const auto& entry : seen) {
    CHECK(entry.trace == 0x99);
    CHECK(entry.node == "e1");
  }
  REQUIRE(seen.at(1).choices.size() == 1);
  const auto& choice = seen.at(1).choices[0];
  CHECK(choice.vnf_class == "firewall");
  CHECK(choice.version > 0);
  CHECK(choice.age_s >= 1); // publish_service lets a second pass
  CHECK_FALSE(choice.is_suspect);
  REQUIRE(choice.candidates.size() == 1);
  const auto& chosen = choice.candidates[0];
  CHECK((chosen.instance == "fw-1" && chosen.node == "dc" && chosen.flows == 0 && chosen.own_choices == 0));
  CHECK((chosen.drawn && chosen.chosen));
}

TEST_CASE("the age of the state is told, and that it may be stale") {
  world w;
  w.publish_service();
  w.pass(7s);
  w.raise(connection, dataplane::packet_in_reason::rule, 1);
  w.simulation.network().partition({{"e1"}, {"s1"}});
  w.pass(20s);
  w.raise("tcp 10.1.0.7:2 > 203.0.113.9:80", dataplane::packet_in_reason::rule, 2);
  std::vector<trace_choice> choices;
  for (const auto& entry : w.traces->read(0, 100).entries)
    for (const auto& choice : entry.choices)
      choices.push_back(choice);
  REQUIRE(choices.size() == 2);
  CHECK(choices[0].age_s >= 8);
  CHECK(choices[0].age_s < 10);
  CHECK_FALSE(choices[0].is_suspect);
  CHECK(choices[1].age_s >= 27);
  CHECK(choices[1].is_suspect);
}

TEST_CASE("a packet that is not traced leaves nothing in the book") {
  world w;
  w.publish_service();
  w.raise(connection);
  w.raise("tcp 203.0.113.9:80 > 10.1.0.7:4444", dataplane::packet_in_reason::reply_rule);
  CHECK(w.traces->read(0, 100).entries.empty());
}

TEST_CASE("each way a traced packet can be answered is written down") {
  world w;
  w.publish_service();
  const auto raised = [&](const char* tuple, dataplane::packet_in_reason reason = dataplane::packet_in_reason::rule) {
    const auto before = w.traces->end();
    w.raise(tuple, reason, 5);
    w.pass(2500ms);
    return texts(w.traces->read(before, 100).entries);
  };
  SECTION("remembered") {
    w.raise(connection);
    const auto path = model::keys::path(w.published(connection)->path);
    const auto seen = raised(connection);
    REQUIRE(seen.size() == 3);
    CHECK(seen[1].starts_with("service/web: remembered path=" + path + " version="));
    CHECK(seen[2] == "switch agent: programmed path=" + path + " instances=fw-1 at dc owner=true");
  }
  SECTION("lost to another edge") {
    const auto tuple = *parse_five_tuple(connection);
    w.put(store::table::paths, model::keys::path(0x500), model::encode(model::service_path{0x500, "web", {"fw-1"}}));
    w.put(store::table::flows, model::keys::flow(0, tuple),
          model::encode(model::flow_record{"web", "other-edge", 0x500, tuple, 0}));
    const auto seen = raised(connection);
    REQUIRE(seen.size() == 4);
    CHECK(seen[2].find("put_if_absent result=lost") != std::string::npos);
    CHECK(seen[2].find("decided_by=other-edge") != std::string::npos);
    CHECK(seen[3] == "switch agent: programmed path=000500 instances=fw-1 at dc owner=false");
  }
  SECTION("no candidate") {
    w.put(store::table::digests, "firewall", model::encode(model::class_digest{"firewall", {}}));
    CHECK(raised(connection) ==
          std::vector<std::string>{"switch agent: handed_over to=service/web",
                                   "service/web: no_candidate class=firewall",
                                   "service/web: refused reason=decision_refused answer=drop",
                                   "switch agent: programmed answer=drop reason=decision_refused"});
  }
  SECTION("the store does not answer") {
    w.raise("tcp 10.1.0.7:2 > 203.0.113.9:80"); // so that the path is known
    w.simulation.network().partition({{"e1"}, {"s1"}});
    const auto seen = raised(connection);
    REQUIRE(seen.size() == 5);
    CHECK(seen[2].starts_with("service/web: put_if_absent result="));
    CHECK(seen[3] == "service/web: refused reason=store_unavailable answer=drop");
    CHECK(seen[4] == "switch agent: programmed answer=drop reason=store_unavailable");
  }
  SECTION("a reply that is found") {
    w.raise(connection);
    const auto seen = raised("tcp 203.0.113.9:80 > 10.1.0.7:51514", dataplane::packet_in_reason::reply_rule);
    REQUIRE(seen.size() == 2);
    CHECK(seen[0].starts_with("switch agent: looked_up in_store=true version="));
    CHECK(seen[1].ends_with("owner=false"));
  }
  SECTION("a reply that is not") {
    CHECK(raised("tcp 203.0.113.9:80 > 10.1.0.7:4444", dataplane::packet_in_reason::reply_rule) ==
          std::vector<std::string>{"switch agent: looked_up in_store=false",
                                   "switch agent: programmed answer=drop reason=reply_unknown_flow"});
  }
}

TEST_CASE("a path that is resolved for a traced packet is written down") {
  world w;
  w.publish_service();
  w.put(store::table::paths, model::keys::path(0x700), model::encode(model::service_path{0x700, "web", {"fw-1"}}));
  dataplane::packet_in miss;
  miss.reason = dataplane::packet_in_reason::path_miss;
  miss.hold = 900;
  miss.spi = 0x701;
  miss.trace = 6;
  w.fast_path.events.push_back(miss);
  wake(w);
  CHECK(texts(w.traces->read(0, 100).entries) ==
        std::vector<std::string>{"switch agent: path_resolved path=000700 instances=fw-1 at dc"});
}

TEST_CASE("a switch's records reach the book in words, before what actors say of the same packet") {
  world w;
  w.publish_service();
  auto received = record_of(trace_step::received);
  received.trace = 0x99;
  received.port = 1;
  w.fast_path.traces.push_back(received);
  w.raise(connection, dataplane::packet_in_reason::rule, 0x99);
  const auto seen = texts(w.traces->read(0, 100).entries);
  REQUIRE(seen.size() > 2);
  CHECK(seen[0] == "lcore: received port=subscribers");
  CHECK(seen[1] == "switch agent: handed_over to=service/web");
}

TEST_CASE("a trace is started with its bounds, and one at a time") {
  world w;
  begin_trace wanted;
  wanted.port = "subscribers";
  wanted.packets = 3;
  wanted.duration = 20s;
  const auto id = session_begun(w, wanted);
  REQUIRE(w.fast_path.all<dataplane::start_trace>().size() == 1);
  const auto session = w.fast_path.all<dataplane::start_trace>()[0].session;
  CHECK(session.id == id);
  CHECK(session.packets == 3);
  CHECK(session.filter.match.in_port == dataplane::port_id{1});
  CHECK(session.id_prefix > 0);
  CHECK(w.traces->last_session().is_running);

  const auto again = ask<std::uint64_t>(w, edge_names::switch_agent("e1"), begin_trace{});
  CHECK_FALSE(again->answer);
  CHECK(again->error.find("a trace runs on e1 already") != std::string::npos);
  begin_trace replacing;
  replacing.replace = true;
  CHECK(session_begun(w, replacing) != id);
}

TEST_CASE("a trace that makes no sense is refused with the reason") {
  world w;
  struct row {
    const char* says;
    void (*set)(begin_trace&);
  };
  const row rows[] = {
      {"1 to 1000 packets", [](begin_trace& wanted) { wanted.packets = 0; }},
      {"1 to 1000 packets", [](begin_trace& wanted) { wanted.packets = 1001; }},
      {"at most 10 minutes", [](begin_trace& wanted) { wanted.duration = 11min; }},
      {"no port 'nowhere'", [](begin_trace& wanted) { wanted.port = "nowhere"; }},
  };
  for (const auto& [says, set] : rows) {
    begin_trace wanted;
    set(wanted);
    const auto refused = ask<std::uint64_t>(w, edge_names::switch_agent("e1"), wanted);
    CHECK_FALSE(refused->answer);
    INFO(refused->error);
    CHECK(refused->error.find(says) != std::string::npos);
  }
  CHECK(w.fast_path.all<dataplane::start_trace>().empty());
}

TEST_CASE("a trace ends by the switch's word, by its time, or when its reader goes away") {
  world w;
  begin_trace wanted;
  wanted.duration = 20s;
  const auto id = session_begun(w, wanted);
  const auto stops = [&] { return w.fast_path.all<dataplane::stop_trace>().size(); };
  const auto read_for = [&](int seconds) {
    for (int i = 0; i < seconds; ++i) {
      w.traces->note_reader(id,
                            static_cast<std::uint64_t>(w.simulation.system().clock().now().time_since_epoch().count()));
      w.pass(1s);
    }
  };
  SECTION("the switch reached the limit") {
    auto end = record_of(trace_step::session_ended, static_cast<std::uint8_t>(dataplane::trace_end::limit_reached), id);
    w.fast_path.traces.push_back(end);
    wake(w);
    CHECK(w.traces->last_session().ended_because == "limit reached");
    read_for(30);
    CHECK(stops() == 0);
  }
  SECTION("time") {
    read_for(18);
    CHECK(w.traces->last_session().is_running);
    read_for(3);
    CHECK(w.traces->last_session().ended_because == "time over");
    CHECK(stops() == 1);
  }
  SECTION("nobody reads") {
    w.pass(4s);
    CHECK(w.traces->last_session().is_running);
    w.pass(3s);
    CHECK(w.traces->last_session().ended_because == "its reader went away");
    CHECK(stops() == 1);
  }
  SECTION("nobody reads, and the agent was restarted") {
    caf::anon_send_exit(w.e1.directory->find(edge_names::switch_agent("e1")), caf::exit_reason::kill);
    w.pass(8s);
    CHECK(w.traces->last_session().ended_because == "its reader went away");
    CHECK(stops() == 1);
  }
  SECTION("an order") {
    caf::anon_send(w.e1.directory->find(edge_names::switch_agent("e1")), end_trace{id + 1});
    w.pass(10ms);
    CHECK(stops() == 0);
    caf::anon_send(w.e1.directory->find(edge_names::switch_agent("e1")), end_trace{id});
    w.pass(10ms);
    CHECK(stops() == 1);
  }
}

namespace {

/// A service whose path leads over two datacentres, and the way home.
void publish_way(world& w) {
  w.publish_service();
  w.put(store::table::mappings, model::keys::mapping(0, *parse_prefix("0.0.0.0/0")),
        model::encode(model::eid_mapping{0, *parse_prefix("0.0.0.0/0"), "inet", *parse_ip("172.16.4.2")}));
}

constexpr auto asked_rule = static_cast<std::uint8_t>(dataplane::packet_in_reason::rule);

} // namespace

TEST_CASE("what would be decided is foretold from rule to egress, and comes true") {
  world w;
  publish_way(w);
  const auto foretold = ask<foretold_walk>(w, edge_names::switch_agent("e1"), question_of(connection));
  CHECK_FALSE(foretold->answer);
  answer_probe(w, {record_of(trace_step::miss), record_of(trace_step::rule, 0, 1),
                   record_of(trace_step::packet_in, asked_rule)});
  INFO(foretold->error);
  REQUIRE(foretold->answer);
  const auto& entries = foretold->answer->entries;
  const auto said = texts(entries);
  REQUIRE(said.size() == 9);
  CHECK(said[3] == "service/web: decided chain=fw-1 policy=least-loaded "
                   "because=the least loaded of 2 random candidates of each class");
  REQUIRE(entries[3].choices.size() == 1);
  CHECK(entries[3].choices[0].candidates.size() == 1);
  CHECK(said[4].ends_with("to_be_made=true"));
  CHECK(said[5] == "service/web: store in_store=false");
  CHECK(said[6].find("hop position=0 instance=fw-1 class=firewall") != std::string::npos);
  CHECK(entries[6].node == "dc");
  CHECK(said[7] == "switch agent: eid_route eid=0.0.0.0/0 to_node=inet to_rloc=172.16.4.2");
  CHECK(entries[7].node == "dc");
  CHECK(said[8] == "switch agent: verdict result=delivered");
  CHECK(entries[8].node == "inet");
  // Nothing came of it.
  CHECK_FALSE(w.published(connection));
  CHECK(w.fast_path.all<dataplane::install_flow>().empty());
  CHECK(w.traces->read(0, 100).entries.empty());

  w.raise(connection);
  const auto record = w.published(connection);
  REQUIRE(record);
  CHECK(model::keys::path(record->path) == entries[4].text("path"));
}

TEST_CASE("what the store says of a flow is foretold to win") {
  world w;
  publish_way(w);
  const auto tuple = *parse_five_tuple(connection);
  w.put(store::table::instances, "fw-9",
        model::encode(model::vnf_instance{"fw-9", "firewall", "dc9", *parse_ip("172.16.9.2")}));
  w.put(store::table::paths, model::keys::path(0x500), model::encode(model::service_path{0x500, "web", {"fw-9"}}));
  w.put(store::table::flows, model::keys::flow(0, tuple),
        model::encode(model::flow_record{"web", "other-edge", 0x500, tuple, 0}));
  const auto foretold = ask<foretold_walk>(w, edge_names::switch_agent("e1"), question_of(connection));
  answer_probe(w, {record_of(trace_step::rule, 0, 1), record_of(trace_step::packet_in, asked_rule)});
  REQUIRE(foretold->answer);
  const auto& entries = foretold->answer->entries;
  const auto hop = std::find_if(entries.begin(), entries.end(), [](const auto& each) { return each.what == "hop"; });
  REQUIRE(hop != entries.end());
  CHECK(hop->text("instance") == "fw-9");
  CHECK(hop->node == "dc9");
}

TEST_CASE("each end of a walk is foretold") {
  world w;
  publish_way(w);
  const auto last_of = [&](const char* tuple, const std::vector<trace_record>& steps) {
    const auto foretold = ask<foretold_walk>(w, edge_names::switch_agent("e1"), question_of(tuple));
    answer_probe(w, steps);
    w.pass(3s);
    INFO(foretold->error);
    REQUIRE(foretold->answer);
    const auto& last = foretold->answer->entries.back();
    CHECK(last.what == "verdict");
    return last.text("result") + " " + last.node + (last.text("reason").empty() ? "" : ": " + last.text("reason"));
  };
  auto dropped = record_of(trace_step::dropped);
  dropped.reason = dataplane::drop_reason::spoofed_source;
  CHECK(last_of(connection, {dropped}) == "dropped e1: spoofed_source");
  CHECK(last_of(connection, {record_of(trace_step::answered)}) == "answered e1: by the edge itself");
  CHECK(last_of(connection, {record_of(trace_step::held)}).starts_with("held e1"));
  CHECK(last_of(connection, {}).starts_with("unknown e1"));
  auto local = record_of(trace_step::eid_route);
  local.port = 1;
  CHECK(last_of("tcp 10.1.0.7:1 > 10.1.0.8:2", {local, record_of(trace_step::sent)}) == "delivered e1");
  auto remote = record_of(trace_step::eid_route);
  remote.address = *parse_ip("172.16.4.2");
  CHECK(last_of("tcp 10.1.0.7:1 > 9.9.9.9:2", {remote, record_of(trace_step::sent)}) == "delivered inet");
  constexpr auto reply = static_cast<std::uint8_t>(dataplane::packet_in_reason::reply_rule);
  CHECK(last_of("tcp 10.1.0.7:80 > 9.9.9.9:2",
                {record_of(trace_step::rule, 1, 1), record_of(trace_step::packet_in, reply)}) ==
        "dropped e1: reply_unknown_flow");
  w.raise(connection);
  auto step = record_of(trace_step::path_step);
  step.spi = w.published(connection)->path;
  step.hops = 1;
  step.address = rloc_of_dc;
  CHECK(last_of(connection, {record_of(trace_step::hit), step, record_of(trace_step::sent)}) == "delivered inet");
  w.put(store::table::digests, "firewall", model::encode(model::class_digest{"firewall", {}}));
  CHECK(last_of("tcp 10.1.0.7:5 > 203.0.113.9:80",
                {record_of(trace_step::rule, 0, 1), record_of(trace_step::packet_in, asked_rule)}) ==
        "dropped e1: decision_refused");
  w.simulation.network().partition({{"e1"}, {"s1"}});
  CHECK(last_of("tcp 10.1.0.7:80 > 9.9.9.9:2",
                {record_of(trace_step::rule, 1, 1), record_of(trace_step::packet_in, reply)}) ==
        "dropped e1: store_unavailable");
}

TEST_CASE("a packet that comes by no port can't be foretold") {
  world w;
  const auto nowhere = ask<foretold_walk>(w, edge_names::switch_agent("e1"), question_of("tcp 8.8.8.8:1 > 9.9.9.9:2"));
  CHECK(nowhere->error.find("no attachment of node e1 has the source 8.8.8.8") != std::string::npos);
  auto question = question_of("tcp 8.8.8.8:1 > 9.9.9.9:2");
  question.port = "nowhere";
  CHECK(ask<foretold_walk>(w, edge_names::switch_agent("e1"), question)->error.find("no port 'nowhere'") !=
        std::string::npos);
  question.port = "subscribers";
  CHECK(ask<foretold_walk>(w, edge_names::switch_agent("e1"), question)->error.empty());
}
