#include "node/config_store.hpp"

#include "node/yaml_reader.hpp"

#include <algorithm>
#include <charconv>

namespace glocal::node {
namespace {

using namespace std::chrono_literals;

/// Each copy more costs every write a sync more; seven survive three losses.
constexpr std::uint32_t most_replicas = 7;
/// More members than an etcd is advised to have.
constexpr std::size_t most_endpoints = 9;
constexpr std::uint64_t most_cache_entries = 16'777'216;
/// A few hundred entries as they are; less is no cache.
constexpr std::uint64_t least_cache_bytes = 65'536, most_cache_bytes = 4'294'967'295;
constexpr std::string_view register_help =
    "write embedded, {etcd: local}, or {etcd: [\"http://10.0.0.1:2379\", ...]} with the endpoints of an etcd";

constexpr std::string_view backend_help =
    "write federated, etcd (which is {etcd: local}), or {etcd: [\"http://10.0.0.1:2379\", ...]}";

/// `http://HOST:PORT`, HOST a name, an IPv4 address or an IPv6 address in brackets.
bool is_url(std::string_view text) {
  for (const std::string_view scheme : {"http://", "https://"})
    if (text.starts_with(scheme)) {
      text.remove_prefix(scheme.size());
      const auto colon = text.rfind(':');
      if (colon == std::string_view::npos || colon == 0)
        return false;
      auto host = text.substr(0, colon);
      const auto port_text = text.substr(colon + 1);
      std::uint16_t port = 0;
      const auto [end, failure] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
      if (failure != std::errc{} || end != port_text.data() + port_text.size() || port == 0)
        return false;
      if (host.front() == '[' && host.back() == ']') {
        const auto address = parse_ip(host.substr(1, host.size() - 2));
        return address && !address->is_v4();
      }
      return host.size() <= 253 && std::ranges::all_of(host, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                      c == '-';
             });
    }
  return false;
}

class store_loader : yaml_reader {
public:
  using yaml_reader::yaml_reader;

  void load(const value& v, store_settings& out) {
    if (!keys(v, "store", {"slots", "lease_ttl", "replicas", "register", "cache", "backend"}, {}))
      return;
    with(v, "slots", [&](auto& e) { number(e, "slots", 1, 65'536, out.slots); });
    with(v, "lease_ttl", [&](auto& e) { duration(e, "lease_ttl", 1s, 1h, out.lease_ttl); });
    with(v, "replicas", [&](auto& e) {
      std::uint32_t count = 0;
      number(e, "replicas", 1, most_replicas, count);
      if (count != 0)
        out.wanted_replicas = count;
    });
    with(v, "register", [&](auto& e) { config_register(e, out); });
    with(v, "cache", [&](auto& e) { cache(e, out); });
    with(v, "backend", [&](auto& e) { backend(v, e, out); });
  }

private:
  void cache(const value& v, store_settings& out) {
    if (v.what == kind::scalar) {
      if (v.text == "off")
        out.cache_entries = 0;
      else
        report_.error(v, "unknown cache " + quoted(v.text), "write off, or {entries: 65536, bytes: 16777216}");
      return;
    }
    if (!keys(v, "cache", {"entries", "bytes"}, {}))
      return;
    with(v, "entries", [&](auto& e) { number(e, "entries", 1, most_cache_entries, out.cache_entries); });
    with(v, "bytes", [&](auto& e) { number(e, "bytes", least_cache_bytes, most_cache_bytes, out.cache_bytes); });
  }

  void backend(const value& section, const value& v, store_settings& out) {
    if (v.what == kind::scalar && v.text == "federated")
      return;
    if (v.what == kind::scalar && v.text != "etcd") {
      report_.error(v, "unknown backend " + quoted(v.text), std::string{backend_help});
      return;
    }
    for (const std::string_view key : {"slots", "replicas", "register"})
      with(section, key, [&](auto& e) {
        report_.error(e, "'" + std::string{key} + "' says how store nodes keep the state, and the backend is etcd",
                      "remove '" + std::string{key} + "', or the backend");
      });
    out.backend = store_backend::etcd;
    out.where = store_register::etcd_local;
    if (v.what == kind::scalar || !keys(v, "backend", {"etcd"}, {}))
      return;
    if (v.children.empty())
      report_.error(v, "a backend without a kind", std::string{backend_help});
    with(v, "etcd", [&](auto& e) { place_of_etcd(e, out, backend_help); });
  }

  void config_register(const value& v, store_settings& out) {
    if (v.what == kind::scalar) {
      if (v.text != "embedded")
        report_.error(v, "unknown register " + quoted(v.text), std::string{register_help});
      return;
    }
    if (!keys(v, "register", {"etcd"}, {}))
      return;
    if (v.children.empty())
      report_.error(v, "a register without a kind", std::string{register_help});
    with(v, "etcd", [&](auto& e) { place_of_etcd(e, out, register_help); });
  }

  void place_of_etcd(const value& v, store_settings& out, std::string_view help) {
    if (v.what == kind::scalar && v.text == "local") {
      out.where = store_register::etcd_local;
      return;
    }
    if (v.what == kind::sequence && (v.children.empty() || v.children.size() > most_endpoints)) {
      report_.error(v, "an etcd has 1 to " + std::to_string(most_endpoints) + " endpoints", std::string{help});
      return;
    }
    std::vector<std::string> read;
    one_or_list(v, "endpoints of etcd", read, [&](auto& url, auto& to) {
      if (!scalar(url, "an endpoint of etcd", "write for example http://10.0.0.1:2379"))
        return;
      if (!is_url(url.text))
        report_.error(url, quoted(url.text) + " is no endpoint of etcd", "write for example http://10.0.0.1:2379");
      else if (std::ranges::count(read, url.text) > 0)
        report_.error(url, quoted(url.text) + " twice", "name each endpoint once");
      else
        to = url.text;
    });
    out.where = store_register::etcd;
    out.etcd_endpoints = std::move(read);
  }
};

/// The launcher's etcd and what else listens at the node's control address.
void check_local_etcd(const cluster_config& config, config_report& report) {
  for (std::size_t i = 0; i < config.nodes.size(); ++i)
    if (config.nodes[i].uses_real_devices()) {
      report.error({"store", config.store.backend == store_backend::etcd ? "backend" : "register"},
                   "'etcd: local' is for clusters that 'glocal up' makes, and node " + quoted(config.nodes[i].name) +
                       " uses devices of a real machine",
                   "run an etcd and name its endpoints: {etcd: [\"http://10.0.0.1:2379\", ...]}");
      return;
    }
  const auto hosts = config.etcd_hosts();
  for (std::size_t i = 0; i < config.nodes.size(); ++i) {
    const auto& node = config.nodes[i];
    if (std::ranges::find(hosts, &node) == hosts.end())
      continue;
    const auto taken = [](std::uint16_t port) { return port == etcd_client_port || port == etcd_peer_port; };
    const auto complain = [&](const yaml_path& where) {
      report.error(where,
                   "'etcd: local' has an etcd listen at ports " + std::to_string(etcd_client_port) + " and " +
                       std::to_string(etcd_peer_port) + " of " + quoted(node.name),
                   "choose another port");
    };
    if (taken(node.control.port))
      complain({"nodes", i, "control"});
    if (node.api && taken(node.api->listen.port) &&
        (node.api->listen.address == node.control.address || node.api->listen.address.is_unspecified()))
      complain({"nodes", i, "api", "listen"});
  }
}

} // namespace

void read_store(const yaml_tree& tree, config_report& report, const yaml_value& section, store_settings& out) {
  store_loader{tree, report}.load(section, out);
}

void check_store(const cluster_config& config, config_report& report) {
  const auto nodes = config.nodes_with(role::store).size();
  // None at all is reported with the roles.
  if (nodes > 0 && config.store.wanted_replicas.value_or(0) > nodes)
    report.error({"store", "replicas"},
                 std::to_string(*config.store.wanted_replicas) + " copies of each slot, and " + std::to_string(nodes) +
                     (nodes == 1 ? " store node" : " store nodes"),
                 "give more nodes the role 'store', or write replicas: " + std::to_string(nodes));
  if (config.store.where == store_register::etcd_local)
    check_local_etcd(config, report);
}

} // namespace glocal::node
