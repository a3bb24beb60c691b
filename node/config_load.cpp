// First pass over a cluster file: each value by itself, as the schema says (configs/cluster.schema.json).
#include "node/config_lisp.hpp"
#include "node/config_policy.hpp"
#include "node/config_report.hpp"
#include "node/config_store.hpp"
#include "node/yaml_reader.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <set>

namespace glocal::node {
namespace {

using namespace std::chrono_literals;

// The greatest is what a packet buffer holds: dataplane::max_port_mtu.
constexpr std::uint16_t least_mtu = 576, greatest_mtu = 1900;
/// Connections an instance carries well: more than fits the memory of any.
constexpr std::uint32_t greatest_capacity = 1'000'000'000;
constexpr std::uint32_t greatest_flow_rate = 100'000'000;
/// A match with lists of ports becomes this many rules at most.
constexpr std::size_t max_matches_per_service = 1024;

class loader : yaml_reader {
public:
  loader(const yaml_tree& tree, config_report& report, const std::string& file)
      : yaml_reader{tree, report}, directory_{file.substr(0, file.rfind('/') + 1)} {}

  cluster_config load() {
    cluster_config out;
    out.management.length = unreadable_length;
    const auto& root = tree_.root();
    if (!keys(root, "a cluster file",
              {"cluster", "management", "underlay", "flow", "poll", "store", "security", "lisp", "nodes", "vnf_classes",
               "instances", "services"},
              {"cluster", "management", "underlay", "nodes"}))
      return out;
    with(root, "cluster", [&](auto& v) { name(v, out.name); });
    with(root, "management", [&](auto& v) { prefix(v, out.management); });
    with(root, "underlay", [&](auto& v) { underlay(v, out.underlay); });
    with(root, "flow", [&](auto& v) { flow(v, out.flow); });
    with(root, "poll", [&](auto& v) {
      choice<poll_mode>(v, {{"adaptive", poll_mode::adaptive}, {"busy", poll_mode::busy}}, out.poll);
    });
    with(root, "store", [&](auto& v) { read_store(tree_, report_, v, out.store); });
    with(root, "security", [&](auto& v) { security(v, out.security); });
    with(root, "lisp", [&](auto& v) { read_lisp(tree_, report_, v, directory_, out.lisp); });
    with(root, "nodes", [&](auto& v) {
      if (v.what == kind::sequence && v.children.empty())
        report_.error(v, "a cluster needs nodes", "add a node with the roles edge, store and mano");
      list(v, "nodes", out.nodes, [&](auto& e, auto& to) { node(e, to); });
    });
    with(root, "vnf_classes",
         [&](auto& v) { list(v, "VNF classes", out.vnf_classes, [&](auto& e, auto& to) { vnf_class(e, to); }); });
    with(root, "instances",
         [&](auto& v) { list(v, "instances", out.instances, [&](auto& e, auto& to) { instance(e, to); }); });
    with(root, "services", [&](auto& v) {
      list(v, "services", out.services, [&](auto& e, auto& to) {
        service(e, to);
        out.match_lines.push_back(std::exchange(match_lines_, {}));
      });
    });
    for (auto& service : out.services)
      if (!has_affinity_.contains(service.name) &&
          std::none_of(service.chain.begin(), service.chain.end(), [&](const auto& vnf_class) {
            const auto* known = out.find_class(vnf_class);
            return known == nullptr || known->stateful;
          }))
        service.affinity = model::affinity::provisional;
    for (auto& instance : out.instances) {
      if (const auto* at = out.find_node(instance.node); at != nullptr && at->underlay)
        instance.rloc = at->underlay->rloc.address;
      if (const auto* of = out.find_class(instance.vnf_class); of != nullptr && instance.capacity == 0)
        instance.capacity = of->capacity;
    }
    return out;
  }

private:
  void underlay(const value& v, underlay_config& out) {
    if (!keys(v, "underlay", {"mtu", "routers", "links"}, {}))
      return;
    with(v, "mtu", [&](auto& e) { number(e, "the underlay's MTU", least_mtu, greatest_mtu, out.mtu); });
    with(v, "routers", [&](auto& e) { list(e, "routers", out.routers, [&](auto& r, auto& to) { name(r, to); }); });
    with(v, "links", [&](auto& e) {
      list(e, "links", out.links, [&](auto& l, router_link& to) {
        to.subnet.length = unreadable_length;
        if (!keys(l, "a link", {"between", "subnet"}, {"between", "subnet"}))
          return;
        with(l, "between", [&](auto& b) {
          std::vector<std::string> ends;
          list(b, "the ends of a link", ends, [&](auto& r, auto& end) { name(r, end); });
          if (b.what == kind::sequence && ends.size() != 2)
            report_.error(b, "a link has two ends, not " + std::to_string(ends.size()), "write [a, b]");
          else if (ends.size() == 2)
            to.first = ends[0], to.second = ends[1];
        });
        with(l, "subnet", [&](auto& s) { prefix(s, to.subnet); });
      });
    });
  }

  void flow(const value& v, flow_settings& out) {
    if (!keys(
            v, "flow",
            {"idle_timeout", "closed_linger", "capacity", "hold_timeout", "new_flows_per_port", "new_flows_per_tenant"},
            {}))
      return;
    with(v, "idle_timeout", [&](auto& e) { duration(e, "idle_timeout", 1s, 24h, out.idle_timeout); });
    with(v, "closed_linger", [&](auto& e) { duration(e, "closed_linger", 100ms, 1h, out.closed_linger); });
    with(v, "capacity", [&](auto& e) { number(e, "capacity", 16, 1u << 24, out.capacity); });
    with(v, "hold_timeout", [&](auto& e) { duration(e, "hold_timeout", 10ms, 60s, out.hold_timeout); });
    const auto rate = [&](const char* key, std::uint32_t& to) {
      with(v, key, [&](auto& e) { number(e, key, 0, greatest_flow_rate, to); });
    };
    rate("new_flows_per_port", out.new_flows_per_port);
    rate("new_flows_per_tenant", out.new_flows_per_tenant);
  }

  void security(const value& v, security_settings& out) {
    if (!keys(v, "security", {"tls", "certificates"}, {}))
      return;
    with(v, "tls", [&](auto& e) {
      choice<tls_mode>(e, {{"auto", tls_mode::automatic}, {"on", tls_mode::on}, {"off", tls_mode::off}}, out.tls);
    });
    with(v, "certificates", [&](auto& e) { file_path(e, "certificates", out.certificates); });
  }

  void node(const value& v, node_config& out) {
    if (!keys(v, "a node", {"name", "roles", "control", "underlay", "attachments", "lisp", "api"},
              {"name", "roles", "control"}))
      return;
    with(v, "name", [&](auto& e) { name(e, out.name); });
    with(v, "roles", [&](auto& e) {
      std::vector<std::optional<role>> read;
      list(e, "roles", read, [&](auto& r, auto& to) {
        choice<std::optional<role>>(
            r, {{"edge", role::edge}, {"store", role::store}, {"mano", role::mano}, {"lisp", role::lisp}}, to);
      });
      if (e.what == kind::sequence && e.children.empty())
        report_.error(e, "a node needs a role", "roles: edge, store, mano");
      for (const auto& one : read)
        if (one && out.has(*one))
          report_.error(e, "role " + quoted(to_string(*one)) + " twice", "name each role once");
        else if (one)
          out.roles.push_back(*one);
    });
    with(v, "control", [&](auto& e) { control_endpoint(e, out.control); });
    with(v, "underlay", [&](auto& e) {
      auto& port = out.underlay.emplace();
      if (!keys(e, "a node's underlay", {"router", "rloc", "gateway", "interface"}, {"rloc", "gateway"}))
        return;
      with(e, "router", [&](auto& s) { name(s, port.router); });
      with(e, "rloc", [&](auto& s) { sized_address(s, port.rloc); });
      with(e, "gateway", [&](auto& s) { address(s, port.gateway); });
      with(e, "interface", [&](auto& s) { device(s, port.interface); });
    });
    with(v, "attachments",
         [&](auto& e) { list(e, "attachments", out.attachments, [&](auto& a, auto& to) { attachment(a, to); }); });
    with(v, "lisp", [&](auto& e) {
      if (keys(e, "a node's Map-Server", {"listen"}, {"listen"}))
        with(e, "listen", [&](auto& l) {
          one_or_list(l, "addresses to listen at", out.lisp_listen, [&](auto& a, auto& to) { address(a, to); });
        });
    });
    with(v, "api", [&](auto& e) {
      auto& api = out.api.emplace();
      if (!keys(e, "a node's API", {"listen", "token_file"}, {"listen"}))
        return;
      with(e, "listen", [&](auto& s) { listen_endpoint(s, api.listen); });
      with(e, "token_file", [&](auto& s) { file_path(s, "token_file", api.token_file); });
    });
  }

  /// Relative ones start at the cluster file.
  void file_path(const value& v, std::string_view what, std::string& out) {
    out = "?"; // there is one, though unreadable
    std::string written;
    text(v, what, written);
    if (!written.empty())
      out = (written.front() == '/' ? std::string{} : directory_) + written;
  }

  void attachment(const value& v, attachment_config& out) {
    if (!keys(v, "an attachment", {"name", "tenant", "gateway", "prefixes", "mtu", "host", "interface"},
              {"name", "gateway"}))
      return;
    with(v, "name", [&](auto& e) { name(e, out.name); });
    with(v, "tenant", [&](auto& e) { number(e, "tenant", 0, 0xffffff, out.tenant); });
    with(v, "gateway",
         [&](auto& e) { one_or_list(e, "gateway", out.gateways, [&](auto& g, auto& to) { sized_address(g, to); }); });
    with(v, "prefixes", [&](auto& e) { list(e, "prefixes", out.prefixes, [&](auto& p, auto& to) { prefix(p, to); }); });
    if (tree_.find(v, "prefixes") == nullptr)
      for (const auto& gateway : out.gateways)
        if (!gateway.address.is_unspecified())
          out.prefixes.push_back(gateway.subnet());
    with(v, "mtu", [&](auto& e) { number(e, "an attachment's MTU", least_mtu, greatest_mtu, out.mtu); });
    with(v, "host", [&](auto& e) {
      auto& host = out.host.emplace();
      if (!keys(e, "a host", {"name", "addresses"}, {"name", "addresses"}))
        return;
      with(e, "name", [&](auto& s) { name(s, host.name); });
      with(e, "addresses",
           [&](auto& s) { list(s, "addresses", host.addresses, [&](auto& a, auto& to) { sized_address(a, to); }); });
    });
    with(v, "interface", [&](auto& e) { device(e, out.interface); });
  }

  void vnf_class(const value& v, model::vnf_class& out) {
    if (!keys(v, "a VNF class", {"name", "driver", "stateful", "capacity", "setup"}, {"name"}))
      return;
    with(v, "name", [&](auto& e) { name(e, out.name); });
    with(v, "driver", [&](auto& e) {
      int only = 0;
      choice<int>(e, {{"netns", 0}}, only);
    });
    with(v, "stateful", [&](auto& e) { boolean(e, "stateful", out.stateful); });
    with(v, "capacity", [&](auto& e) { number(e, "capacity", 1, greatest_capacity, out.capacity); });
    with(v, "setup",
         [&](auto& e) { list(e, "setup", out.setup, [&](auto& c, auto& to) { text(c, "a setup command", to); }); });
  }

  void instance(const value& v, model::vnf_instance& out) {
    if (!keys(v, "an instance", {"name", "class", "node", "capacity"}, {"name", "class", "node"}))
      return;
    with(v, "name", [&](auto& e) { name(e, out.name); });
    with(v, "class", [&](auto& e) { name(e, out.vnf_class); });
    with(v, "node", [&](auto& e) { name(e, out.node); });
    with(v, "capacity", [&](auto& e) { number(e, "capacity", 1, greatest_capacity, out.capacity); });
  }

  void service(const value& v, model::service& out) {
    if (!keys(v, "a service", {"name", "tenant", "priority", "match", "chain", "policy", "on_store_loss", "affinity"},
              {"name", "match", "chain"}))
      return;
    out.priority = 100;
    with(v, "name", [&](auto& e) { name(e, out.name); });
    with(v, "tenant", [&](auto& e) { number(e, "tenant", 0, 0xffffff, out.tenant); });
    with(v, "priority", [&](auto& e) { number(e, "priority", 0, 65'535, out.priority); });
    with(v, "match", [&](auto& e) { matches(e, out.matches); });
    with(v, "chain", [&](auto& e) { list(e, "chain", out.chain, [&](auto& c, auto& to) { name(c, to); }); });
    with(v, "policy", [&](auto& e) { read_policy(tree_, report_, e, out.policy); });
    with(v, "on_store_loss", [&](auto& e) {
      choice<model::fallback>(e, {{"drop", model::fallback::drop}, {"pass", model::fallback::pass}}, out.on_store_loss);
    });
    with(v, "affinity", [&](auto& e) {
      choice<model::affinity>(e, {{"strict", model::affinity::strict}, {"provisional", model::affinity::provisional}},
                              out.affinity);
      has_affinity_.insert(out.name);
    });
  }

  void matches(const value& v, std::vector<dataplane::rule_match>& out) {
    if (!expect(v, kind::sequence, "match", "write it as '- {protocol: tcp, ...}' lines"))
      return;
    for (const auto child : v.children) {
      match(tree_.at(child), out);
      match_lines_.resize(out.size(), tree_.at(child).line);
      if (out.size() > max_matches_per_service) {
        report_.error(tree_.at(child),
                      "more than " + std::to_string(max_matches_per_service) + " rules, lists of ports multiplied out",
                      "use ranges, or split the service");
        out.resize(max_matches_per_service);
        return;
      }
    }
  }

  /// One match of the file: as many rules as its lists of ports multiply to.
  void match(const value& v, std::vector<dataplane::rule_match>& out) {
    if (!keys(v, "a match",
              {"protocol", "source", "destination", "source_ports", "destination_ports", "vlan", "dscp", "icmp_type"},
              {}))
      return;
    dataplane::rule_match rule;
    with(v, "protocol", [&](auto& e) {
      if (!scalar(e, "protocol", "write tcp, udp, icmp, icmp6, sctp or the number"))
        return;
      if (const auto parsed = parse_protocol(e.text))
        rule.protocol = *parsed;
      else
        report_.error(e, quoted(e.text) + " is no protocol",
                      suggest(e.text, {"tcp", "udp", "icmp", "icmp6", "sctp"}, "protocols beside 0 to 255"));
    });
    with(v, "source", [&](auto& e) { prefix(e, rule.source.emplace()); });
    with(v, "destination", [&](auto& e) { prefix(e, rule.destination.emplace()); });
    with(v, "vlan", [&](auto& e) { number(e, "vlan", 0, 4095, rule.vlan.emplace()); });
    with(v, "dscp", [&](auto& e) { number(e, "dscp", 0, 63, rule.dscp.emplace()); });
    with(v, "icmp_type", [&](auto& e) { number(e, "icmp_type", 0, 255, rule.icmp_type.emplace()); });
    if (rule.source && rule.destination && rule.source->address.family != rule.destination->address.family)
      report_.error(v, "source and destination are of different IP versions",
                    "write two matches, one for each version");
    const bool has_ports =
        rule.protocol == ip_protocol::tcp || rule.protocol == ip_protocol::udp || rule.protocol == ip_protocol::sctp;
    const bool is_icmp = rule.protocol == ip_protocol::icmp || rule.protocol == ip_protocol::icmp6;
    if (rule.icmp_type && !is_icmp)
      report_.error(*tree_.find(v, "icmp_type"), "icmp_type needs protocol icmp or icmp6", "add 'protocol: icmp'");

    std::vector<dataplane::l4_port_range> sources, destinations;
    const auto ports = [&](std::string_view key, auto& to) {
      with(v, key, [&](auto& e) {
        if (!has_ports)
          report_.error(e, std::string{key} + " needs a protocol that has ports",
                        "add 'protocol: tcp', or a second match for udp");
        one_or_list(e, key, to, [&](auto& p, auto& range) { port_range(p, range); });
      });
      if (to.empty())
        to.emplace_back();
    };
    ports("source_ports", sources);
    ports("destination_ports", destinations);
    for (const auto& source : sources)
      for (const auto& destination : destinations) {
        if (out.size() > max_matches_per_service)
          return;
        rule.source_ports = source;
        rule.destination_ports = destination;
        out.push_back(rule);
      }
  }

  /// Of the cluster file, with its slash; empty for the current one.
  const std::string directory_;
  /// Of the service being read.
  std::vector<std::uint32_t> match_lines_;
  /// Services that say it themselves.
  std::set<std::string> has_affinity_;
};

} // namespace

expected<cluster_config, std::vector<diagnostic>> load_cluster(std::string_view text, const std::string& file) {
  const auto tree = parse_yaml(text, file);
  if (!tree)
    return unexpected{std::vector{tree.error()}};
  config_report report{*tree, file};
  auto config = loader{*tree, report, file}.load();
  config.file = file;
  if (tree->root().what == yaml_value::kind::map)
    check_config(config, report);
  if (auto found = report.take(); !found.empty())
    return unexpected{std::move(found)};
  return config;
}

expected<cluster_config, std::vector<diagnostic>> load_cluster_file(const std::string& path) {
  const auto whole_file = [&](std::string message, std::string suggestion) {
    return unexpected{std::vector{diagnostic{path, 0, 0, std::move(message), std::move(suggestion)}}};
  };
  std::ifstream stream{path, std::ios::binary};
  std::string text(max_file_bytes + 1, '\0');
  if (stream.is_open())
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!stream.is_open() || stream.bad())
    return whole_file("cannot be read: " + std::string{std::strerror(errno)}, "check the path and your rights to it");
  text.resize(static_cast<std::size_t>(stream.gcount()));
  return load_cluster(text, path);
}

} // namespace glocal::node
