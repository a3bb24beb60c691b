#include "actors/store/store_cache.hpp"

#include "actors/store/store_cluster_test.hpp"

using namespace glocal;
using namespace glocal::actors;
using namespace std::chrono_literals;
using store::get_op;
using store::op_code;
using store::put_op;
using store::table;

namespace {

/// Users of the node share a cache; `other` writes past it, as other nodes do.
struct fixture : store_cluster {
  explicit fixture(std::optional<std::uint64_t> seed = std::nullopt) : store_cluster{seed} {
    cache = sim.own(sim.system().spawn<store_cache>(store::cache_options{}, client));
    cached = std::make_unique<remote_store>(sim.own(sim.system().spawn<store_user>("cached", cache)));
  }
  glocal::store::store& subject() override { return *cached; }

  std::string value(const std::string& key, std::chrono::milliseconds within = 3s) {
    std::optional<std::string> out;
    cached->get(table::paths, key, [&](auto result) {
      out = result ? result->found ? result->found->value : "" : std::string{store::name(result.error())};
    });
    sim.run();
    for (auto waited = 0ms; !out && waited < within; waited += 100ms)
      sim.advance(100ms);
    REQUIRE(out);
    return *out;
  }
  void write_elsewhere(const std::string& key, const std::string& to) {
    bool done = false;
    user->put(table::paths, key, to, 0, [&](auto result) { done = result && result->ok(); });
    sim.run();
    for (auto waited = 0ms; !done && waited < 3s; waited += 100ms)
      sim.advance(100ms);
    REQUIRE(done);
  }
  std::string said(const std::string& key) { return state("store cache", key); }

  caf::actor cache;
  std::unique_ptr<remote_store> cached;
};

} // namespace

TEST_CASE("a store behind a cache keeps the contract of a store") {
  const auto seed = GENERATE(0u, 1u, 2u);
  INFO("seed " << seed);
  fixture cluster{seed == 0 ? std::nullopt : std::optional<std::uint64_t>{seed}};
  check_store_contract(cluster);
}

TEST_CASE_METHOD(fixture, "a second read costs no frame, and follows what others write") {
  write_elsewhere("p", "1");
  CHECK(value("p") == "1"); // opens the watch
  CHECK(value("p") == "1"); // fills
  const auto frames = state("store client", "frames");
  CHECK(value("p") == "1");
  CHECK(state("store client", "frames") == frames);
  CHECK(said("paths_hits") == "1");
  CHECK(said("hit_percent") == "33");
  write_elsewhere("p", "2");
  CHECK(value("p") == "2");
  CHECK(said("paths_hits") == "2");
  CHECK(said("entries") == "1");
}

TEST_CASE_METHOD(fixture, "what was written here is read here at once, and beside it in a batch") {
  REQUIRE(value("p").empty());
  const auto put = [&](const std::string& to) {
    std::vector<std::string> seen;
    cached->execute({put_op{table::paths, "p", to}, get_op{table::paths, "p"}, get_op{table::flows, "f"}},
                    [&](const auto& results) {
                      REQUIRE(results);
                      REQUIRE(results->size() == 3);
                      seen.push_back((*results)[1].found->value);
                      CHECK((*results)[2].code == op_code::not_found);
                    });
    // Sent before the write is answered.
    cached->get(table::paths, "p", [&](const auto& result) { seen.push_back(result->found->value); });
    sim.run();
    REQUIRE(seen == std::vector{to, to});
  };
  for (int i = 0; i < 10; ++i) {
    put(std::to_string(i));
    CHECK(value("p") == std::to_string(i));
  }
}

TEST_CASE_METHOD(fixture, "a cut stream makes the cache suspect; its reads fail or are true until it is live again") {
  write_elsewhere("p", "1");
  CHECK(value("p") == "1");
  CHECK(value("p") == "1");
  CHECK(value("p") == "1");
  REQUIRE(said("paths_hits") == "1");
  const auto primary = primary_of(table::paths, "p");

  // What the store nodes send is lost: the watch hears nothing of what an edge elsewhere writes.
  const auto far = sim.node("e2");
  store_client_settings settings;
  settings.ring = ring;
  const auto far_client = sim.own(sim.system().spawn<store_client>(settings, far));
  far.directory->add(std::string{store_client_name}, far_client);
  remote_store elsewhere{sim.own(sim.system().spawn<store_user>("far", far_client))};
  sim.run();
  sim.network().set_faults([](const runtime::frame_event& frame) -> runtime::frame_verdict {
    return {frame.to == "e1", 0ms};
  });
  bool written = false;
  elsewhere.put(table::paths, "p", "2", 0, [&](auto result) { written = result && result->ok(); });
  sim.run();
  REQUIRE(written);
  // Within the bound the cache may say what was; after it, never.
  CHECK(value("p") == "1");
  sim.advance(4100ms);
  CHECK(said("paths_live") == "false");
  CHECK(value("p") != "1");
  CHECK(said("paths_suspect") == "2");
  sim.network().set_faults({});
  for (auto waited = 0ms; said("paths_live") != "true"; waited += 100ms) {
    REQUIRE(waited < 10s);
    sim.advance(100ms);
  }
  CHECK(value("p") == "2");
  far.directory->clear();
}

TEST_CASE_METHOD(fixture, "what a revoked lease took is not read again") {
  bool granted = false, revoked = false;
  cached->grant_lease(7, 60s, [&](auto result) { granted = bool{result}; });
  sim.run();
  REQUIRE(granted);
  cached->put(table::paths, "p", "1", 7, [](const auto&) {});
  sim.run();
  CHECK(value("p") == "1");
  CHECK(value("p") == "1");
  cached->revoke_lease(7, [&](auto result) { revoked = bool{result}; });
  sim.run();
  REQUIRE(revoked);
  CHECK(value("p").empty());
}
