#include "node/launcher/topology.hpp"

#include "node/offloads.hpp"

#include <algorithm>
#include <map>
#include <queue>
#include <set>

namespace glocal::node {
namespace {

/// Lines for `ip -batch`, by namespace.
using batches = std::map<std::string, std::string>;

struct device {
  std::string network_namespace, name;
};

/// Appends one line of words.
template <class... Word>
void line(std::string& to, const Word&... words) {
  ((to += words), ...);
  to += '\n';
}

class planner {
public:
  explicit planner(const cluster_config& config) : config_{config} {}

  std::vector<topology_step> plan() {
    make_namespaces();
    make_management();
    for (const auto& node : config_.nodes) {
      if (node.underlay && !node.underlay->router.empty())
        make_underlay_port(node);
      for (const auto& attachment : node.attachments)
        if (attachment.host)
          make_attachment(node, attachment);
    }
    for (const auto& link : config_.underlay.links)
      make_router_link(link);
    make_router_routes();

    std::vector<topology_step> out;
    const auto ip = [&](std::string what, const std::string& where, const std::string& lines) {
      out.push_back({std::move(what), where, {"ip", "-batch", "-"}, lines});
    };
    ip("namespaces and links", "", root_);
    // Before any interface is up: else the kernel sends IPv6 of its own into the data plane's ports.
    for (const auto& [where, settings] : settings_) {
      std::vector<std::string> argv{"sysctl", "-q", "-e", "-w"};
      argv.insert(argv.end(), settings.begin(), settings.end());
      out.push_back({"settings of " + where, where, std::move(argv), {}});
    }
    // GSO frames of 64 KB and unfilled checksums must not reach a port that takes frames as they are.
    for (const auto& [where, name] : data_plane_)
      out.push_back({"offloads of a data plane link", where, offloads_off(name), {}});
    ip("the management network", "", bridge_up_);
    for (const auto& [where, lines] : inside_)
      ip("addresses and routes of " + where, where, lines);
    return out;
  }

private:
  static std::string text(const ip_address& address, unsigned length) {
    return to_string(address) + "/" + std::to_string(length);
  }

  void make_namespaces() {
    const auto add = [&](const std::string& name, bool ipv6) {
      line(root_, "netns add ", name);
      inside_[name] = "link set lo up\n";
      settings_[name] = {"net.ipv6.conf.all.disable_ipv6=" + std::string{ipv6 ? "0" : "1"},
                         "net.ipv6.conf.default.disable_ipv6=" + std::string{ipv6 ? "0" : "1"},
                         // Addresses are ours to check: no second of tentative state.
                         "net.ipv6.conf.default.accept_dad=0"};
    };
    const bool ipv6_underlay = std::any_of(config_.nodes.begin(), config_.nodes.end(), [](const auto& node) {
      return node.underlay && !node.underlay->rloc.address.is_v4();
    });
    for (const auto& router : config_.underlay.routers) {
      add(router, ipv6_underlay);
      auto& settings = settings_[router];
      settings.insert(settings.end(), {"net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
                                       "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0"});
    }
    for (const auto& node : config_.nodes) {
      add(node.name, !config_.management.address.is_v4());
      for (const auto& attachment : node.attachments)
        if (attachment.host) {
          const auto& addresses = attachment.host->addresses;
          add(attachment.host->name,
              std::any_of(addresses.begin(), addresses.end(), [](const auto& one) { return !one.address.is_v4(); }));
        }
    }
  }

  void make_management() {
    line(root_, "link set lo up");
    line(root_, "link add name mgmt type bridge");
    line(bridge_up_, "link set mgmt up");
    std::size_t index = 0;
    for (const auto& node : config_.nodes) {
      const auto port = "mgmt-p" + std::to_string(index++);
      line(root_, "link add name ", management_interface, " netns ", node.name, " type veth peer name ", port);
      line(root_, "link set ", port, " master mgmt");
      line(bridge_up_, "link set ", port, " up");
      bring_up({node.name, std::string{management_interface}}, text(node.control.address, config_.management.length));
    }
  }

  void bring_up(const device& what, const std::string& address) {
    auto& lines = inside_[what.network_namespace];
    line(lines, "addr add ", address, " dev ", what.name);
    line(lines, "link set ", what.name, " up");
  }

  void make_pair(const device& one, const device& other, std::uint16_t mtu) {
    const auto size = std::to_string(mtu);
    line(root_, "link add name ", one.name, " mtu ", size, " netns ", one.network_namespace, " type veth peer name ",
         other.name, " mtu ", size, " netns ", other.network_namespace);
    for (const auto& end : {one, other})
      data_plane_.push_back(end);
  }

  /// The kernel's end of what DPDK opens: up, but the kernel neither answers on it nor takes anything from it. Strict
  /// reverse-path filtering drops what it sees, as no route leads back; or hosts could reach the control address.
  void make_blind(const device& end) {
    line(inside_[end.network_namespace], "link set ", end.name, " arp off up");
    auto& settings = settings_[end.network_namespace];
    settings.push_back("net.ipv6.conf." + end.name + ".disable_ipv6=1");
    settings.push_back("net.ipv4.conf." + end.name + ".rp_filter=1");
  }

  std::string next_port(const std::string& router) { return "port" + std::to_string(ports_[router]++); }

  void make_underlay_port(const node_config& node) {
    const auto& port = *node.underlay;
    const device here{node.name, underlay_interface(config_, node.name)}, there{port.router, next_port(port.router)};
    make_pair(here, there, config_.underlay.mtu);
    make_blind(here);
    bring_up(there, text(port.gateway, port.rloc.length));
    subnets_[port.router].push_back(port.rloc.subnet());
  }

  void make_attachment(const node_config& node, const attachment_config& attachment) {
    const device here{node.name, attachment_interface(config_, node.name, attachment.name)},
        there{attachment.host->name, "eth0"};
    make_pair(here, there, attachment.mtu);
    make_blind(here);
    auto& lines = inside_[there.network_namespace];
    for (const auto& address : attachment.host->addresses)
      line(lines, "addr add ", to_string(address), " dev eth0");
    line(lines, "link set eth0 up");
    std::set<ip_family> routed;
    for (const auto& gateway : attachment.gateways) {
      const auto& addresses = attachment.host->addresses;
      const bool local = std::any_of(addresses.begin(), addresses.end(),
                                     [&](const auto& one) { return one.subnet() == gateway.subnet(); });
      if (local && routed.insert(gateway.address.family).second)
        line(lines, "route add default via ", to_string(gateway.address), " dev eth0");
    }
  }

  void make_router_link(const router_link& link) {
    const device first{link.first, next_port(link.first)}, second{link.second, next_port(link.second)};
    make_pair(first, second, config_.underlay.mtu);
    auto address = link.subnet.address;
    for (const auto* end : {&first, &second}) {
      ++address.octets[address.is_v4() ? 3 : 15]; // a subnet of four or more: no carry
      bring_up(*end, text(address, link.subnet.length));
      addresses_[{link.first, link.second}].push_back(address);
    }
    subnets_[link.first].push_back(link.subnet);
    subnets_[link.second].push_back(link.subnet);
  }

  /// Static routes along shortest paths, by a breadth-first search from every router.
  void make_router_routes() {
    struct neighbour {
      std::string router;
      ip_address address;
    };
    std::map<std::string, std::vector<neighbour>> neighbours;
    for (const auto& [ends, addresses] : addresses_)
      for (std::size_t i = 0; i + 1 < addresses.size(); i += 2) {
        neighbours[ends.first].push_back({ends.second, addresses[i + 1]});
        neighbours[ends.second].push_back({ends.first, addresses[i]});
      }
    for (const auto& start : config_.underlay.routers) {
      std::map<std::string, ip_address> via{{start, {}}};
      std::set<ip_prefix> known{subnets_[start].begin(), subnets_[start].end()};
      std::queue<std::string> open;
      open.push(start);
      for (; !open.empty(); open.pop())
        for (const auto& [router, address] : neighbours[open.front()]) {
          const auto& next_hop = open.front() == start ? address : via.at(open.front());
          if (!via.emplace(router, next_hop).second)
            continue;
          open.push(router);
          for (const auto& subnet : subnets_[router])
            if (known.insert(subnet).second)
              line(inside_[start], "route add ", to_string(subnet), " via ", to_string(next_hop));
        }
    }
  }

  const cluster_config& config_;
  std::string root_, bridge_up_;
  batches inside_;
  std::map<std::string, std::vector<std::string>> settings_;
  std::vector<device> data_plane_;
  std::map<std::string, std::size_t> ports_;
  std::map<std::string, std::vector<ip_prefix>> subnets_;
  /// Both ends' addresses for each link between two routers, in pairs.
  std::map<std::pair<std::string, std::string>, std::vector<ip_address>> addresses_;
};

} // namespace

std::vector<topology_step> plan_topology(const cluster_config& config) {
  return planner{config}.plan();
}

} // namespace glocal::node
