#include "node/config.hpp"

#include <catch2/catch.hpp>

namespace glocal::node {
namespace {

using policy::kind;

/// A sound cluster whose service has this policy, from line 21, column 13 on.
std::string with_policy(const std::string& policy) {
  return R"(cluster: lab
management: 10.255.0.0/24
underlay: {routers: [r]}
nodes:
  - name: west
    roles: [edge, store, mano]
    control: 10.255.0.1:7400
    underlay: {router: r, rloc: 172.16.1.2/30, gateway: 172.16.1.1}
    attachments: [{name: homes, gateway: 10.1.0.1/24, host: {name: alice, addresses: [10.1.0.7/24]}}]
vnf_classes:
  - {name: firewall, capacity: 1000}
  - {name: cache}
instances:
  - {name: fw-1, class: firewall, node: west}
  - {name: fw-2, class: firewall, node: west, capacity: 50}
  - {name: cache-1, class: cache, node: west}
services:
  - name: web
    match: [{protocol: tcp}]
    chain: [firewall]
    policy: )" +
         policy + "\n";
}

policy::settings read(const std::string& text) {
  const auto loaded = load_cluster(with_policy(text), "lab.yaml");
  if (!loaded)
    FAIL(to_string(loaded.error().front()));
  return loaded->services[0].policy;
}

} // namespace

TEST_CASE("a policy is a name, or a name with parameters") {
  CHECK(read("round-robin") == policy::settings{kind::round_robin});
  CHECK(read("{name: consistent}") == policy::settings{kind::consistent});
  CHECK(read("{name: least-loaded, choices: 3}").choices == 3);
  const auto latency = read("{name: lowest-latency, sample: 16, spread_percent: 0, service_us: 200}");
  CHECK((latency.kind == kind::lowest_latency && latency.sample == 16 && latency.spread_percent == 0 &&
         latency.service_us == 200));
  CHECK(read("{name: locality, spill_percent: 90}").spill_percent == 90);
  const auto weighted = read("{name: weighted, weights: {fw-1: 3, fw-2: 0}}");
  CHECK(weighted.weights == std::vector<policy::instance_weight>{{"fw-1", 3}, {"fw-2", 0}});
  const auto combined = read("{name: combined, latency_weight: 1, load_weight: 2, locality_weight: 3}");
  CHECK((combined.latency_weight == 1 && combined.load_weight == 2 && combined.locality_weight == 3));
  const auto reused = read("{name: least-loaded, reuse: {by: source, for: 30s}}");
  CHECK((reused.reuse == policy::similarity::source && reused.reuse_for == std::chrono::seconds{30}));
}

TEST_CASE("an instance has its own capacity, or its class's") {
  const auto lab = *load_cluster(with_policy("least-loaded"), "lab.yaml");
  CHECK(lab.find_instance("fw-1")->capacity == 1000);
  CHECK(lab.find_instance("fw-2")->capacity == 50);
  CHECK(lab.find_instance("cache-1")->capacity == 0);
}

TEST_CASE("what is wrong with a policy is said where it is, with what would mend it") {
  struct row {
    std::string policy, said;
  };
  const auto [policy, said] = GENERATE(values<row>({
      {"least-loded", "lab.yaml:21:13: error: unknown value 'least-loded'\n  help: did you mean 'least-loaded'?"},
      {"{name: random}", "lab.yaml:21:20: error: unknown value 'random'\n  help: known values: least-loaded, "
                         "round-robin, lowest-latency, locality, weighted, consistent, combined"},
      {"{name: least-loaded, choice: 3}",
       "lab.yaml:21:34: error: unknown key 'choice' in policy least-loaded\n  help: did you mean 'choices'?"},
      {"{name: round-robin, sample: 3}",
       "lab.yaml:21:33: error: unknown key 'sample' in policy round-robin\n  help: known keys: name, reuse"},
      {"{choices: 3}", "lab.yaml:21:13: error: a policy lacks the key 'name'\n  help: add 'name: ...'"},
      {"{name: least-loaded, choices: 65}",
       "lab.yaml:21:43: error: choices is 1 to 64, not 65\n  help: at most 64 is possible"},
      {"[least-loaded]", "lab.yaml:21:13: error: policy is a policy's name, or 'name' with parameters\n  help: write "
                         "for example 'policy: least-loaded' or 'policy: {name: least-loaded, choices: 3}'"},
      {"{name: weighted, weights: {fw-3: 1}}",
       "lab.yaml:21:46: error: no instance 'fw-3' of this chain\n  help: did you mean 'fw-1'?"},
      {"{name: weighted, weights: {cache-1: 1}}",
       "lab.yaml:21:49: error: no instance 'cache-1' of this chain\n  help: known instances: fw-1, fw-2"},
      {"{name: weighted, weights: {fw-1: 1, fw-2: 1001}}",
       "lab.yaml:21:55: error: a weight is 0 to 1000, not 1001\n  help: at most 1000 is possible"},
      {"{name: weighted, weights: {fw-1: 0, fw-2: 0}}",
       "lab.yaml:21:39: error: all instances of class 'firewall' have weight 0\n  help: give one of them a weight"},
      {"{name: combined, latency_weight: 0, load_weight: 0, locality_weight: 0}",
       "lab.yaml:21:13: error: all weights of the combined policy are 0, so nothing counts\n  help: give "
       "latency_weight, load_weight or locality_weight a value"},
      {"{name: locality, reuse: {by: sender}}", "lab.yaml:21:42: error: unknown value 'sender'\n  help: known values: "
                                                "none, source, destination, pair"},
      {"{name: locality, reuse: {by: pair, for: 10}}",
       "lab.yaml:21:53: error: for is a duration with its unit (ms, s, m, h), not '10'\n  help: write '10s' for "
       "seconds"},
  }));
  const auto loaded = load_cluster(with_policy(policy), "lab.yaml");
  REQUIRE(!loaded);
  REQUIRE(loaded.error().size() == 1);
  CHECK(to_string(loaded.error()[0]) == said);
}

} // namespace glocal::node
