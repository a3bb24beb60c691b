#include "node/daemon/http_api.hpp"
#include "node/daemon/kind_names.hpp"
#include "node/daemon/metrics.hpp"

#include "actors/store/slot_meters.hpp"
#include "dataplane/switch/southbound.hpp"
#include "node/daemon/exposition.hpp"
#include "node/launcher/node_client.hpp"
#include "store/codec.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>

#include <unistd.h>

namespace glocal::node {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

runtime::actor_record record(std::string kind, std::string name, runtime::state_entries state) {
  runtime::actor_record out;
  out.kind = std::move(kind);
  out.name = std::move(name);
  out.messages_in = 10;
  out.state = std::move(state);
  out.state_age = std::chrono::milliseconds{1};
  return out;
}

/// A node with every role, an actor of each kind that is shown and one of everything that can be counted.
struct busy_node {
  node_config self;
  runtime::observatory actors{"n1"};
  std::unique_ptr<dataplane::counters> counters = std::make_unique<dataplane::counters>();
  std::shared_ptr<actors::path_accounts> accounts = std::make_shared<actors::path_accounts>();
  std::shared_ptr<actors::slot_meters> slots = std::make_shared<actors::slot_meters>(256);

  busy_node() {
    self.name = "n1";
    self.roles = {role::edge, role::store};
    counters->ports[3].rx_packets.add(7);
    counters->drops[static_cast<std::size_t>(dataplane::drop_reason::ttl_expired)].add(2);
    counters->setup_latency.record(1'000'000);
    counters->exact_hits.add(5);
    counters->flows_removed[static_cast<std::size_t>(dataplane::removal::closed)].add(3);
    auto& path = counters->paths[accounts->of({0x500, "web", {"fw-1", "opt-2"}})];
    path.packets[0].add(11);
    path.bytes[1].add(1200);
    path.flows.add(4);
    path.flows_now.add(2);
    actors::slot_meters::tally puts;
    puts.count(store::put_op{});
    puts.count(store::put_op{});
    slots->record(17, puts, std::chrono::microseconds{700});
    slots->record_scan(17, std::chrono::seconds{3});
    slots->count_watch(17);
    const auto ended = std::make_shared<runtime::actor_cell>();
    ended->id = 1;
    ended->kind = "service module";
    ended->in = 90;
    actors.enroll(ended);
    actors.retire(1);
    actors.note_restart("edge/n1/service/web", "a bug");
  }

  [[nodiscard]] std::string text() const {
    const status_sources sources{
        self,     actors, std::chrono::steady_clock::now(), counters.get(), {{3, "homes", "attachment"}}, 1000,
        accounts, slots};
    runtime::transport_stats peers;
    peers.peers["n2"].connected = true;
    peers.peers["n2"].kinds[static_cast<std::uint16_t>(store::frame_kind::batch_request)] = {1, 2, 30, 40};
    return metrics_text(
        {sources,
         {record("service module", "edge/n1/service/web",
                 {{"service", "web"}, {"decided", "4"}, {"no_candidate", "1"}, {"store_failures", "2"}}),
          record("vnf monitor", "edge/n1/vnf/fw-1",
                 {{"instance", "fw-1"}, {"class", "firewall"}, {"healthy", "true"}, {"flows", "3"}}),
          record("store node", "store", {{"slots", "86"}, {"keys", "12"}, {"puts", "5"}}),
          record("store shard", "store/shard/17", {{"slot", "17"}, {"revision", "9"}, {"keys", "4"}}),
          record("store client", "store/client", {{"latency_p50_us", "250"}}),
          record("store cache", "store/cache",
                 {{"entries", "3"}, {"paths_hits", "8"}, {"paths_misses", "1"}, {"paths_live", "true"}})},
         peers,
         {{{.from = "@n2", .to = "ghost", .kind = 0x0101}, 6},
          {{.from = "edge/n1/switch", .to = "ghost@n2", .kind = 0x0101, .returned = true}, 2},
          {{.from = "-", .to = "edge/n1/service/web", .type = "tick"}, 1}}});
  }
};

std::set<std::string> families(const std::string& text) {
  std::set<std::string> out;
  const std::regex type{"# TYPE (\\S+) (counter|gauge|summary|histogram)\n"};
  for (std::sregex_iterator at{text.begin(), text.end(), type}, end; at != end; ++at)
    CHECK(out.insert((*at)[1]).second); // a family comes in one piece
  return out;
}

struct scratch {
  fs::path path;
  scratch() {
    std::string name = "/tmp/metrics_test.XXXXXX";
    path = ::mkdtemp(name.data());
  }
  ~scratch() { fs::remove_all(path); }
};

} // namespace

TEST_CASE("the exposition format: a header for each family with samples, labels escaped") {
  exposition out{std::vector<std::pair<std::string, std::string>>{{"node", "n1"}}};
  out.family("a_total", "counter", "Things\nwith \\ in them.");
  out.add({{"what", "say \"hi\" \\ \n \xff"}}, std::uint64_t{18446744073709551615u});
  out.add({}, std::uint64_t{0});
  out.family("nothing", "gauge", "No samples.");
  out.family("b_seconds", "summary", "Time.");
  out.add({{"quantile", "0.5"}}, 0.25);
  out.add({}, std::uint64_t{3}, "_count");
  const std::string expected = "# HELP a_total Things\\nwith \\\\ in them.\n"
                               "# TYPE a_total counter\n"
                               "a_total{node=\"n1\",what=\"say \\\"hi\\\" \\\\ ? ?\"} 18446744073709551615\n"
                               "a_total{node=\"n1\"} 0\n"
                               "# HELP b_seconds Time.\n"
                               "# TYPE b_seconds summary\n"
                               "b_seconds{node=\"n1\",quantile=\"0.5\"} 0.25\n"
                               "b_seconds_count{node=\"n1\"} 3\n";
  CHECK(out.take() == expected);
}

TEST_CASE("samples without labels have no braces") {
  exposition out{{}};
  out.family("x", "gauge", "X.");
  out.add({}, 1.5);
  const std::string expected = "# HELP x X.\n# TYPE x gauge\nx 1.5\n";
  CHECK(out.take() == expected);
}

TEST_CASE("metrics are what the node counts") {
  const auto text = busy_node{}.text();
  for (const auto* line : {
           "glocal_edge_port_receive_packets_total{node=\"n1\",port=\"homes\",kind=\"attachment\"} 7\n",
           "glocal_edge_drops_total{node=\"n1\",reason=\"ttl_expired\"} 2\n",
           "glocal_edge_exact_match_hits_total{node=\"n1\"} 5\n",
           "glocal_edge_setup_latency_seconds_count{node=\"n1\"} 1\n",
           "glocal_service_decided_total{node=\"n1\",service=\"web\"} 4\n",
           "glocal_service_refused_total{node=\"n1\",service=\"web\",reason=\"store_failures\"} 2\n",
           "glocal_vnf_instance_healthy{node=\"n1\",instance=\"fw-1\",class=\"firewall\"} 1\n",
           "glocal_store_operations_total{node=\"n1\",kind=\"put\"} 5\n",
           "glocal_store_keys{node=\"n1\"} 12\n",
           "glocal_store_slot_revision_total{node=\"n1\",slot=\"17\"} 9\n",
           "glocal_store_slot_keys{node=\"n1\",slot=\"17\"} 4\n",
           "glocal_edge_flows_capacity{node=\"n1\"} 1000\n",
           "glocal_edge_flows_removed_total{node=\"n1\",reason=\"closed\"} 3\n",
           "glocal_path_packets_total{node=\"n1\",service=\"web\",path=\"000500\",chain=\"fw-1 > opt-2\","
           "direction=\"forward\"} 11\n",
           "glocal_path_bytes_total{node=\"n1\",service=\"web\",path=\"000500\",chain=\"fw-1 > opt-2\","
           "direction=\"reverse\"} 1200\n",
           "glocal_path_flows{node=\"n1\",service=\"web\",path=\"000500\",chain=\"fw-1 > opt-2\"} 2\n",
           "glocal_path_folded_total{node=\"n1\"} 0\n",
           "glocal_store_slot_operations_total{node=\"n1\",slot=\"17\",kind=\"put\"} 2\n",
           "glocal_store_slot_operations_total{node=\"n1\",slot=\"17\",kind=\"watch\"} 1\n",
           "glocal_store_slot_operation_duration_seconds_bucket{node=\"n1\",slot=\"17\",le=\"0.0005\"} 0\n",
           "glocal_store_slot_operation_duration_seconds_bucket{node=\"n1\",slot=\"17\",le=\"0.001\"} 2\n",
           "glocal_store_slot_operation_duration_seconds_bucket{node=\"n1\",slot=\"17\",le=\"+Inf\"} 3\n",
           "glocal_store_slot_operation_duration_seconds_sum{node=\"n1\",slot=\"17\"} 3.0014\n",
           "glocal_store_slot_operation_duration_seconds_count{node=\"n1\",slot=\"17\"} 3\n",
           "glocal_store_cache_reads_total{node=\"n1\",table=\"paths\",outcome=\"hit\"} 8\n",
           "glocal_store_cache_live{node=\"n1\",table=\"paths\"} 1\n",
           "glocal_store_cache_entries{node=\"n1\"} 3\n",
           "glocal_store_client_latency_seconds{node=\"n1\",quantile=\"0.5\"} 0.00025\n",
           "glocal_transport_messages_total{node=\"n1\",peer=\"n2\",kind=\"store.batch_request\",direction=\"out\"} "
           "2\n",
           "glocal_actor_restarts_total{node=\"n1\",actor=\"edge/n1/service/web\"} 1\n",
           "glocal_dead_letters_total{node=\"n1\",from=\"@n2\",to=\"ghost\",kind=\"store.batch_request\"} 6\n",
           "glocal_dead_letters_total{node=\"n1\",from=\"-\",to=\"edge/n1/service/web\",kind=\"tick\"} 1\n",
           "glocal_dead_letters_returned_total{node=\"n1\",from=\"edge/n1/switch\",to=\"ghost@n2\","
           "kind=\"store.batch_request\"} 2\n",
           "glocal_node_info{node=\"n1\",version=\"0.1.0\",roles=\"edge,store\"} 1\n",
       })
    CHECK_THAT(text, Catch::Contains(line));
}

TEST_CASE("what an actor counted goes on to count when it has ended") {
  CHECK_THAT(busy_node{}.text(),
             Catch::Contains("glocal_actor_messages_in_total{node=\"n1\",kind=\"service module\"} 100\n"));
}

TEST_CASE("every line is a comment or a sample, and names follow the conventions") {
  const auto text = busy_node{}.text();
  const std::regex sample{R"re(glocal_[a-z0-9_]+(\{[a-z]+="([^"\\]|\\.)*"(,[a-z]+="([^"\\]|\\.)*")*\})? [0-9.e+-]+)re"};
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);)
    if (!line.starts_with("# HELP ") && !line.starts_with("# TYPE "))
      CHECK(std::regex_match(line, sample));
  const std::regex counter{"# TYPE (\\S+) counter\n"};
  for (std::sregex_iterator at{text.begin(), text.end(), counter}, end; at != end; ++at)
    CHECK((*at)[1].str().ends_with("_total"));
}

TEST_CASE("the Grafana dashboard asks only for what nodes export") {
  const auto exported = families(busy_node{}.text());
  std::ifstream file{std::string{GLOCAL_SOURCE_DIR} + "/configs/grafana/glocal.json"};
  const auto dashboard = json::parse(file);
  std::size_t queries = 0;
  const auto check = [&](const std::string& query) {
    const std::regex name{"glocal_[a-z0-9_]+"};
    for (std::sregex_iterator at{query.begin(), query.end(), name}, end; at != end; ++at, ++queries) {
      INFO(query);
      CHECK(exported.contains(std::regex_replace(at->str(), std::regex{"_(count|sum|bucket)$"}, "")));
    }
  };
  for (const auto& panel : dashboard.at("panels"))
    if (panel.contains("targets"))
      for (const auto& target : panel.at("targets"))
        check(target.at("expr"));
  for (const auto& variable : dashboard.at("templating").at("list"))
    if (variable.contains("query") && variable.at("query").is_string())
      check(variable.at("query"));
  CHECK(queries > 20);
}

TEST_CASE("kinds of messages have names, unknown ones a number") {
  CHECK(kind_name(0x010a) == "store.watch_events");
  CHECK(kind_name(0x0444) == "0x0444");
}

TEST_CASE("the API answers GET, POST and text, and refuses with a reason") {
  const scratch directory;
  const auto socket = directory.path / "n.sock";
  api_handlers handlers;
  handlers.get["thing"] = [] { return json{{"value", "\xff"}}; }; // from a peer: no valid UTF-8
  handlers.get_written["part"] = [](const api_query& query) {
    return json{{"of", query.count("of") > 0 ? query.at("of") : "all"}}.dump();
  };
  handlers.get["broken"] = []() -> json { throw std::runtime_error{"why"}; };
  handlers.post["thing"] = [](const json& body) -> json {
    if (body.contains("bad"))
      throw api_refusal{404, "no such thing"};
    return {{"got", body}};
  };
  handlers.text["/metrics"] = [] { return std::string{"x 1\n"}; };
  http_api api{socket, handlers};
  REQUIRE(api.start());
  const std::chrono::seconds patience{5};
  CHECK(*ask_node(socket, "/api/v1/thing", patience) == "{\"value\":\"\xef\xbf\xbd\"}");
  CHECK(*ask_node(socket, "/metrics", patience) == "x 1\n");
  CHECK(*ask_node(socket, "/api/v1/part", patience) == R"({"of":"all"})");
  CHECK(*ask_node(socket, "/api/v1/part?of=a%2Fb%20c", patience) == R"({"of":"a/b c"})");
  CHECK(*tell_node(socket, "/api/v1/thing", R"({"a": 1})", patience) == R"({"got":{"a":1}})");
  const auto status = [](const auto& answer) { return answer ? 200 : answer.error().status; };
  CHECK(status(ask_node(socket, "/api/v1/broken", patience)) == 500);
  CHECK(status(ask_node(socket, "/api/v1/other", patience)) == 404);
  CHECK(status(tell_node(socket, "/api/v1/thing", "[]", patience)) == 400);
  CHECK(status(tell_node(socket, "/api/v1/thing", "{", patience)) == 400);
  CHECK(status(tell_node(socket, "/api/v1/thing", std::string(http_api::max_post_bytes + 1, ' '), patience)) == 413);
  const auto refused = tell_node(socket, "/api/v1/thing", R"({"bad": 1})", patience);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().status == 404);
  CHECK_THAT(refused.error().message, Catch::Contains("no such thing"));
}

TEST_CASE("actors as JSON: units in names, an unanswered summary is null") {
  auto quiet = record("k", "quiet", {});
  quiet.state_age = std::chrono::steady_clock::duration{-1};
  quiet.oldest_wait = std::chrono::milliseconds{1500};
  const auto out = json::parse(actors_text({record("k", "x", {{"ready", "true"}}), quiet}))["actors"];
  CHECK(out[0]["state"]["ready"] == "true");
  CHECK(out[0]["state_age_s"].get<double>() == Approx(0.001));
  CHECK(out[1]["state_age_s"].is_null());
  CHECK(out[1]["oldest_wait_s"].get<double>() == Approx(1.5));
}

TEST_CASE("whatever an actor is called or says, its JSON is valid") {
  auto odd = record("a \"kind\"", "name\n\\ \xff", {{"key\t\"", "\x01"}, {"", ""}});
  odd.last_error = "\xed\xa0\x80";
  odd.in_rate = std::numeric_limits<double>::quiet_NaN();
  odd.out_rate = 0.1;
  const auto out = json::parse(actors_text({odd, record("k", "second", {})}))["actors"];
  REQUIRE(out.size() == 2);
  CHECK(out[0]["name"] == "name\n\\ \xef\xbf\xbd");
  CHECK(out[0]["state"]["key\t\""] == "\x01");
  CHECK(out[0]["messages_in_per_s"].is_null());
  CHECK(out[0]["messages_out_per_s"] == 0.1);
  CHECK(out[1]["state"] == json::object());
  CHECK(json::parse(actors_text({})) == json{{"actors", json::array()}});
}

TEST_CASE("what an actor calls a secret is not shown") {
  const auto state =
      json::parse(actors_text({record("k", "x", {{"API_Token", "abc"}, {"private key", "def"}, {"keys", "7"}})}));
  CHECK(state["actors"][0]["state"] ==
        json{{"API_Token", "(not shown)"}, {"private key", "(not shown)"}, {"keys", "7"}});
}

TEST_CASE("an actor's state in a word") {
  const auto brief = [](runtime::state_entries state) -> std::string {
    return json::parse(actors_text({record("k", "x", std::move(state))}))["actors"][0]["state_brief"];
  };
  CHECK(brief({{"ready", "true"}}) == "ready");
  CHECK(brief({{"slots", "3"}, {"ready", "false"}}) == "not ready");
  CHECK(brief({{"healthy", "false"}}) == "unhealthy");
  CHECK(brief({{"slot", "17"}, {"keys", "2"}}) == "slot 17");
  CHECK(brief({{"token", "abc"}}) == "token (not shown)");
  CHECK(brief({}).empty());
  auto stuck = record("k", "x", {{"ready", "true"}});
  stuck.state_age = std::chrono::steady_clock::duration{-1};
  CHECK(json::parse(actors_text({stuck}))["actors"][0]["state_brief"] == "no answer");
}

TEST_CASE("some of the actors, and less of them") {
  auto child = record("k", "child", {{"ready", "true"}});
  child.id = 2;
  child.parent = 1;
  auto top = record("k", "top", {});
  top.id = 1;
  const auto all = json::parse(actors_text({top, child}, {.with_state = false}))["actors"];
  REQUIRE(all.size() == 2);
  CHECK(all[0]["parent_name"].is_null());
  CHECK(all[1]["parent_name"] == "top");
  CHECK_FALSE(all[1].contains("state"));
  CHECK(all[1]["state_brief"] == "ready");
  const auto one = json::parse(actors_text({top, child}, {.name = "child"}))["actors"];
  REQUIRE(one.size() == 1);
  CHECK(one[0]["parent_name"] == "top"); // who is not in the answer is still known
  CHECK(json::parse(actors_text({top, child}, {.name = "nobody"})) == json{{"actors", json::array()}});
}

TEST_CASE("dead letters as JSON name who, whom and what") {
  CHECK(dead_letters_json({{{.from = "@n2", .to = "ghost", .kind = 0x0101}, 2}}) ==
        json{{"dead_letters",
              {{{"from", "@n2"},
                {"to", "ghost"},
                {"kind", "store.batch_request"},
                {"returned", false},
                {"messages", 2}}}}});
}

} // namespace glocal::node
