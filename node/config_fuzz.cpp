// The cluster file's loader must end, and say something, whatever it reads.

#include "node/config.hpp"

#include <cstdlib>
#include <string_view>

namespace {

/// Starting point: every section once, small enough that mutations hit all of it.
constexpr std::string_view seed = R"(cluster: lab
management: 10.255.0.0/24
underlay: {mtu: 1700, routers: [n, s], links: [{between: [n, s], subnet: 172.16.9.0/30}]}
flow: {idle_timeout: 60s, closed_linger: 30s, capacity: 65536, hold_timeout: 2s}
poll: adaptive
store: {slots: 256, lease_ttl: 10s, replicas: 1, register: {etcd: ["http://10.0.0.1:2379"]}}
security: {tls: on, certificates: tls}
nodes:
- name: w
  roles: [edge, store, mano]
  control: 10.255.0.1:7400
  api: {listen: 0.0.0.0:9100, token_file: t}
  underlay: {router: n, rloc: 172.16.1.2/30, gateway: 172.16.1.1}
  attachments:
  - {name: h, tenant: 1, gateway: [10.1.0.1/24, "fd00::1/64"], mtu: 1500, host: {name: a, addresses: [10.1.0.7/24]}}
  - &x {name: i, gateway: 203.0.113.1/24, prefixes: [0.0.0.0/0], interface: eth1}
vnf_classes: [{name: f, driver: netns, stateful: true, capacity: 9, setup: ["true"]}]
instances: [{name: f1, class: f, node: w}]
services:
- name: web
  tenant: 1
  priority: 100
  match: [{protocol: tcp, source: 10.1.0.0/24, destination_ports: [80, 8000-8080]}, {protocol: icmp, icmp_type: 8}]
  chain: [f]
  policy: {name: weighted, weights: {f1: 3}, reuse: {by: pair, for: 10s}}
  on_store_loss: drop
  affinity: provisional
)";

} // namespace

extern "C" std::size_t glocal_fuzz_seed_input(std::size_t index, std::uint8_t* out, std::size_t capacity) {
  if (index > 0 || seed.size() > capacity)
    return 0;
  seed.copy(reinterpret_cast<char*>(out), seed.size());
  return seed.size();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto loaded = glocal::node::load_cluster(text, "fuzz.yaml");
  if (text == seed && !loaded)
    std::abort(); // else the mutations start from nothing
  if (!loaded && loaded.error().empty())
    std::abort();
  if (!loaded)
    for (const auto& what : loaded.error())
      if (to_string(what).empty() || what.message.empty())
        std::abort();
  return 0;
}
