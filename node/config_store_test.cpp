#include "node/config.hpp"

#include <catch2/catch.hpp>

namespace glocal::node {
namespace {

/// A cluster with `stores` store nodes and the section `store: SECTION` in its fourth line.
std::string with_store(const std::string& section, int stores = 3, const std::string& port = "7400",
                       const std::string& device = "host: {name: alice, addresses: [10.1.0.7/24]}") {
  auto text = R"(cluster: lab
management: 10.255.0.0/24
underlay: {routers: [north]}
store: )" + section +
              R"(
nodes:
  - name: west
    roles: [edge, mano]
    control: 10.255.0.1:7400
    underlay: {router: north, rloc: 172.16.1.2/30, gateway: 172.16.1.1}
    attachments: [{name: homes, gateway: 10.1.0.1/24, )" +
              device + "}]\n";
  for (int i = 1; i <= stores; ++i)
    text += "  - {name: s" + std::to_string(i) + ", roles: [store], control: 10.255.0.1" + std::to_string(i) + ":" +
            port + "}\n";
  return text;
}

cluster_config load(const std::string& text) {
  auto loaded = load_cluster(text, "lab.yaml");
  if (!loaded)
    for (const auto& error : loaded.error())
      UNSCOPED_INFO(to_string(error));
  REQUIRE(loaded);
  return *loaded;
}

std::string errors_of(const std::string& text) {
  const auto loaded = load_cluster(text, "lab.yaml");
  std::string out;
  if (!loaded)
    for (const auto& error : loaded.error())
      out += to_string(error) + "\n";
  return out;
}

} // namespace

TEST_CASE("a store has three copies as far as there are nodes, and its register is embedded") {
  const auto lab = load(with_store("{}"));
  CHECK(lab.replica_count() == 3);
  CHECK(lab.store.where == store_register::embedded);
  CHECK(lab.etcd_endpoints().empty());
  CHECK(load(with_store("{}", 2)).replica_count() == 2);
  CHECK(load(with_store("{}", 7)).replica_count() == 3);
  CHECK(load(with_store("{replicas: 5}", 7)).replica_count() == 5);
  CHECK(load(with_store("{register: embedded}")).store.where == store_register::embedded);
}

TEST_CASE("a local etcd has a member at each of the first three store nodes, or one") {
  using urls = std::vector<std::string>;
  const auto lab = load(with_store("{register: {etcd: local}}", 5));
  CHECK(lab.store.where == store_register::etcd_local);
  CHECK(lab.etcd_endpoints() == urls{"http://10.255.0.11:2379", "http://10.255.0.12:2379", "http://10.255.0.13:2379"});
  CHECK(load(with_store("{register: {etcd: local}}", 2)).etcd_endpoints() == urls{"http://10.255.0.11:2379"});
}

TEST_CASE("endpoints of an etcd are taken as they are") {
  using urls = std::vector<std::string>;
  const auto of = [](const std::string& list) {
    const auto lab = load(with_store("{register: {etcd: " + list + "}}"));
    CHECK(lab.store.where == store_register::etcd);
    CHECK(lab.etcd_hosts().empty());
    return lab.etcd_endpoints();
  };
  CHECK(of("\"http://10.0.0.1:2379\"") == urls{"http://10.0.0.1:2379"});
  CHECK(of("[\"http://etcd-1.example:2379\", \"https://[fd00::1]:2379\"]") ==
        urls{"http://etcd-1.example:2379", "https://[fd00::1]:2379"});
}

TEST_CASE("a store may be on etcd alone, which is where the file says") {
  using urls = std::vector<std::string>;
  CHECK(load(with_store("{}")).store.backend == store_backend::federated);
  CHECK(load(with_store("{backend: federated, replicas: 2}")).store.backend == store_backend::federated);
  const auto local = load(with_store("{backend: etcd, lease_ttl: 5s}"));
  CHECK(local.store.backend == store_backend::etcd);
  CHECK(local.etcd_hosts().size() == 3);
  CHECK(load(with_store("{backend: {etcd: local}}", 1)).etcd_endpoints() == urls{"http://10.255.0.11:2379"});
  const auto there = load(with_store("{backend: {etcd: [\"http://10.0.0.1:2379\"]}}"));
  CHECK(there.store.backend == store_backend::etcd);
  CHECK(there.etcd_hosts().empty());
  CHECK(there.etcd_endpoints() == urls{"http://10.0.0.1:2379"});
}

TEST_CASE("an edge's cache of the store has a size, or there is none") {
  CHECK(load(with_store("{}")).store.cache_entries == 65'536);
  CHECK(load(with_store("{}")).store.cache_bytes == 16u << 20);
  CHECK(load(with_store("{cache: off}")).store.cache_entries == 0);
  const auto small = load(with_store("{cache: {entries: 100, bytes: 65536}}"));
  CHECK(small.store.cache_entries == 100);
  CHECK(small.store.cache_bytes == 65'536);
}

TEST_CASE("what is wrong with the store is reported where it is, with what to do") {
  const struct {
    const char* what;
    std::string text;
    const char *where, *message, *help;
  } rows[] = {
      {"no copies", with_store("{replicas: 0}"), "4:19", "1 to 7, not 0", "at least 1"},
      {"more copies than there may be", with_store("{replicas: 8}"), "4:19", "1 to 7, not 8", "at most 7"},
      {"more copies than nodes", with_store("{replicas: 3}", 2), "4:19", "3 copies of each slot, and 2 store nodes",
       "replicas: 2"},
      {"an unknown register", with_store("{register: raft}"), "4:19", "unknown register 'raft'", "{etcd: local}"},
      {"an etcd that is nowhere", with_store("{register: etcd}"), "4:19", "unknown register 'etcd'", "{etcd: local}"},
      {"a register of another kind", with_store("{register: {consul: local}}"), "4:20", "unknown key 'consul'",
       "known keys: etcd"},
      {"a register of no kind", with_store("{register: {}}"), "4:19", "without a kind", "{etcd: local}"},
      {"a list of registers", with_store("{register: [embedded]}"), "4:19", "register", ""},
      {"no endpoints", with_store("{register: {etcd: []}}"), "4:26", "1 to 9 endpoints", "http://"},
      {"an endpoint without scheme", with_store("{register: {etcd: [\"10.0.0.1:2379\"]}}"), "4:27",
       "'10.0.0.1:2379' is no endpoint of etcd", "http://10.0.0.1:2379"},
      {"an endpoint without port", with_store("{register: {etcd: [\"http://10.0.0.1\"]}}"), "4:27",
       "is no endpoint of etcd", "http://10.0.0.1:2379"},
      {"an endpoint with a path", with_store("{register: {etcd: [\"http://10.0.0.1:2379/v3\"]}}"), "4:27",
       "is no endpoint of etcd", "http://10.0.0.1:2379"},
      {"an endpoint with a user", with_store("{register: {etcd: [\"http://a@10.0.0.1:2379\"]}}"), "4:27",
       "is no endpoint of etcd", "http://10.0.0.1:2379"},
      {"an endpoint twice", with_store("{register: {etcd: [\"http://a:1\", \"http://a:1\"]}}"), "4:41",
       "'http://a:1' twice", "once"},
      {"an unknown backend", with_store("{backend: redis}"), "4:18", "unknown backend 'redis'",
       "write federated, etcd"},
      {"a backend of another kind", with_store("{backend: {redis: local}}"), "4:19", "unknown key 'redis'", "etcd"},
      {"a backend of no kind", with_store("{backend: {}}"), "4:18", "a backend without a kind", "{etcd: ["},
      {"copies of etcd's", with_store("{replicas: 3, backend: etcd}"), "4:19", "'replicas' says how store nodes keep",
       "remove 'replicas'"},
      {"slots of etcd's", with_store("{backend: etcd, slots: 32}"), "4:31", "'slots' says how", "remove 'slots'"},
      {"a register of etcd's", with_store("{backend: etcd, register: {etcd: local}}"), "4:34", "'register' says how",
       "remove 'register'"},
      {"a local backend on a real machine",
       with_store("{backend: etcd}", 3, "7400", "interface: eth1, prefixes: [0.0.0.0/0]"), "4:18",
       "'glocal up' makes, and node 'west' uses devices", "name its endpoints"},
      {"an unknown cache", with_store("{cache: huge}"), "4:16", "unknown cache 'huge'", "write off, or {entries:"},
      {"a cache of nothing", with_store("{cache: {entries: 0}}"), "4:26", "1 to 16777216, not 0", "at least 1"},
      {"a cache without room", with_store("{cache: {bytes: 1000}}"), "4:24", "65536 to 4294967295, not 1000", ""},
      {"a local etcd on a real machine",
       with_store("{register: {etcd: local}}", 3, "7400", "interface: eth1, prefixes: [0.0.0.0/0]"), "4:19",
       "'glocal up' makes, and node 'west' uses devices", "name its endpoints"},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    const auto errors = errors_of(row.text);
    CHECK_THAT(errors, Catch::Contains("lab.yaml:" + std::string{row.where} + ": error: "));
    CHECK_THAT(errors, Catch::Contains(row.message));
    CHECK_THAT(errors, Catch::Contains(row.help));
    CHECK(std::count(errors.begin(), errors.end(), '\n') <= 2);
  }
  const auto clash = errors_of(with_store("{register: {etcd: local}}", 1, "2380"));
  CHECK_THAT(clash,
             Catch::Contains("lab.yaml:11:") && Catch::Contains("an etcd listen at ports 2379 and 2380 of 's1'"));
}

} // namespace glocal::node
