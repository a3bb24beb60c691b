// Second pass over a cluster file: what the values mean to each other.
#include "node/config_lisp.hpp"
#include "node/config_report.hpp"
#include "node/config_store.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace glocal::node {
namespace {

std::string quoted(std::string_view text) {
  return "'" + std::string{text} + "'";
}

/// A subnet or prefix that must not overlap others of its realm.
struct claim {
  std::uint64_t realm;
  ip_prefix prefix;
  std::string owner;
  yaml_path path;
};

class checker {
public:
  checker(const cluster_config& config, config_report& report) : config_{config}, report_{report} {}

  void check() {
    collect_names();
    check_roles();
    check_nodes();
    check_underlay();
    check_attachments();
    check_instances();
    check_services();
    check_store(config_, report_);
    check_lisp(config_, report_);
  }

private:
  using names = std::map<std::string_view, std::size_t>;

  /// Takes a name in a space of names; reports the second owner.
  void take(std::map<std::string_view, std::string>& space, std::string_view name, std::string owner,
            const yaml_path& path, std::string_view what) {
    if (name.empty())
      return;
    const auto [at, fresh] = space.emplace(name, std::move(owner));
    if (!fresh)
      report_.error(path, std::string{what} + " " + quoted(name) + " is already " + at->second, "choose another name");
  }

  static std::vector<std::string_view> words(const names& known) {
    std::vector<std::string_view> out;
    for (const auto& [name, index] : known)
      out.push_back(name);
    return out;
  }

  /// False, and reported, when `name` refers to nothing. Empty names were reported by the first pass.
  bool refers(const names& known, std::string_view name, const yaml_path& path, std::string_view what) {
    if (name.empty())
      return false;
    if (known.contains(name))
      return true;
    return report_.error(path, "there is no " + std::string{what} + " " + quoted(name),
                         suggest(name, words(known), std::string{what} + (what.ends_with('s') ? "es" : "s")));
  }

  void collect_names() {
    // Nodes, routers, hosts and instances become namespaces that `glocal exec` finds by name: one space for all.
    std::map<std::string_view, std::string> places, classes, services;
    for (std::size_t i = 0; i < config_.underlay.routers.size(); ++i) {
      const auto& router = config_.underlay.routers[i];
      take(places, router, "a router", {"underlay", "routers", i}, "router");
      routers_.emplace(router, i);
    }
    for (std::size_t i = 0; i < config_.nodes.size(); ++i) {
      const auto& node = config_.nodes[i];
      take(places, node.name, "a node or router", {"nodes", i, "name"}, "node");
      nodes_.emplace(node.name, i);
      std::map<std::string_view, std::string> attachments;
      for (std::size_t j = 0; j < node.attachments.size(); ++j) {
        const auto& attachment = node.attachments[j];
        take(attachments, attachment.name, "an attachment of this node", {"nodes", i, "attachments", j, "name"},
             "attachment");
        if (attachment.host)
          take(places, attachment.host->name, "a node, router or host", {"nodes", i, "attachments", j, "host", "name"},
               "host");
      }
    }
    for (std::size_t i = 0; i < config_.vnf_classes.size(); ++i) {
      take(classes, config_.vnf_classes[i].name, "a VNF class", {"vnf_classes", i, "name"}, "class");
      classes_.emplace(config_.vnf_classes[i].name, i);
    }
    for (std::size_t i = 0; i < config_.instances.size(); ++i)
      take(places, config_.instances[i].name, "a node, router, host or instance", {"instances", i, "name"}, "instance");
    for (std::size_t i = 0; i < config_.services.size(); ++i)
      take(services, config_.services[i].name, "a service", {"services", i, "name"}, "service");
    for (auto* known : {&routers_, &nodes_, &classes_})
      known->erase("");
  }

  void check_roles() {
    std::vector<std::size_t> manos;
    std::size_t stores = 0, edges = 0;
    for (std::size_t i = 0; i < config_.nodes.size(); ++i) {
      const auto& node = config_.nodes[i];
      stores += node.has(role::store);
      edges += node.has(role::edge);
      if (node.has(role::mano))
        manos.push_back(i);
    }
    if (config_.nodes.empty())
      return; // reported by the first pass
    const auto lacks = [&](std::string_view what) {
      report_.error({"nodes"}, "no node has the role " + quoted(what),
                    "add " + quoted(what) + " to the roles of a node");
    };
    if (edges == 0)
      lacks("edge");
    if (stores == 0)
      lacks("store");
    if (manos.empty())
      lacks("mano");
    for (std::size_t i = 1; i < manos.size(); ++i)
      report_.error({"nodes", manos[i], "roles"}, "a second node with the role 'mano'",
                    "keep it at one node: " + quoted(config_.nodes[manos[0]].name) + " has it");
  }

  void check_nodes() {
    const bool managed = config_.management.length != unreadable_length;
    if (managed && config_.management.length > config_.management.address.bits() - 2)
      report_.error({"management"},
                    "the management subnet " + quoted(to_string(config_.management)) + " has no room for nodes",
                    "a /24 holds 254");
    std::map<ip_address, std::string_view> control;
    for (std::size_t i = 0; i < config_.nodes.size(); ++i) {
      const auto& node = config_.nodes[i];
      const auto& address = node.control.address;
      if (!address.is_unspecified()) {
        if (managed && !config_.management.contains(address))
          report_.error({"nodes", i, "control"},
                        quoted(to_string(address)) + " is outside the management subnet " +
                            to_string(config_.management),
                        "choose an address inside it");
        else if (managed && is_edge_of_subnet(config_.management, address))
          report_.error({"nodes", i, "control"},
                        quoted(to_string(address)) + " is the subnet's own or its broadcast address",
                        "choose another address of " + to_string(config_.management));
        if (const auto [at, fresh] = control.emplace(address, node.name); !fresh)
          report_.error({"nodes", i, "control"},
                        quoted(to_string(address)) + " is already the control address of " + quoted(at->second),
                        "give every node its own address");
      }
      if (node.api)
        check_api(i);
      if (node.has(role::edge) && !node.underlay)
        report_.error({"nodes", i}, "an edge needs 'underlay'",
                      "add 'underlay: {router: ..., rloc: ..., gateway: ...}'");
      // A node whose roles could not be read has none, which says nothing about its ports.
      if (node.has(role::edge) || node.roles.empty())
        continue;
      if (node.underlay)
        report_.error({"nodes", i, "underlay"}, "only edges have an underlay port",
                      "add the role 'edge' or remove 'underlay'");
      if (!node.attachments.empty())
        report_.error({"nodes", i, "attachments"}, "only edges have attachments",
                      "add the role 'edge' or remove 'attachments'");
    }
  }

  void check_api(std::size_t i) {
    const auto& node = config_.nodes[i];
    const auto& [listen, token_file] = *node.api;
    if (listen.port == 0)
      return; // reported by the first pass
    if (!listen.is_loopback() && token_file.empty())
      report_.error({"nodes", i, "api"},
                    "the API at " + to_string(listen) + " can be reached from other machines and asks for no token",
                    "add 'token_file: PATH', or listen on 127.0.0.1:" + std::to_string(listen.port));
    if (listen.port == node.control.port && (listen.address == node.control.address || listen.address.is_unspecified()))
      report_.error({"nodes", i, "api", "listen"}, "API and transport of " + quoted(node.name) + " on one port",
                    "choose another port, for example 9100");
  }

  static bool is_edge_of_subnet(const ip_prefix& subnet, const ip_address& address) {
    if (address.bits() - subnet.length < 2)
      return false;
    if (address == subnet.address)
      return true;
    return address.is_v4() && (address.v4_value() | (~std::uint32_t{0} << (32 - subnet.length))) == ~std::uint32_t{0};
  }

  /// Reports every claim inside an earlier one of its realm. Sorted, whatever encloses a prefix stands before it.
  void check_overlaps(std::vector<claim>& claims) {
    std::stable_sort(claims.begin(), claims.end(), [](const claim& a, const claim& b) {
      return std::tie(a.realm, a.prefix.address.family, a.prefix.address, a.prefix.length) <
             std::tie(b.realm, b.prefix.address.family, b.prefix.address, b.prefix.length);
    });
    std::vector<const claim*> enclosing;
    for (const auto& one : claims) {
      while (!enclosing.empty() &&
             (enclosing.back()->realm != one.realm || !enclosing.back()->prefix.contains(one.prefix)))
        enclosing.pop_back();
      if (!enclosing.empty()) {
        const auto& other = *enclosing.back();
        report_.error(one.path, to_string(one.prefix) + " overlaps " + to_string(other.prefix) + " of " + other.owner,
                      "give each its own range");
      }
      enclosing.push_back(&one);
    }
  }

  void check_underlay() {
    std::vector<claim> subnets;
    std::map<ip_address, std::string_view> rlocs;
    const ip_address* first_rloc = nullptr;
    if (config_.management.length != unreadable_length)
      subnets.push_back({0, config_.management, "the management network", {"management"}});
    for (std::size_t i = 0; i < config_.nodes.size(); ++i) {
      const auto& node = config_.nodes[i];
      if (!node.underlay)
        continue;
      const auto& port = *node.underlay;
      const yaml_path here{"nodes", i, "underlay"};
      const auto at = [&](std::string_view key) {
        auto path = here;
        path.emplace_back(key);
        return path;
      };
      if (port.router.empty() == port.interface.empty())
        report_.error(here,
                      port.router.empty() ? "the underlay port has neither 'router' nor 'interface'"
                                          : "the underlay port has both 'router' and 'interface'",
                      "'router' on one machine, 'interface' for a device of a real one");
      refers(routers_, port.router, at("router"), "router");
      const auto& rloc = port.rloc.address;
      if (rloc.is_unspecified())
        continue;
      if (is_edge_of_subnet(port.rloc.subnet(), rloc))
        report_.error(at("rloc"), quoted(to_string(rloc)) + " is the broadcast address of its subnet",
                      "choose another address of " + to_string(port.rloc.subnet()));
      if (first_rloc == nullptr)
        first_rloc = &rloc;
      else if (rloc.family != first_rloc->family)
        report_.error(at("rloc"), "RLOCs of both IP versions in one underlay",
                      "use the version of " + to_string(*first_rloc));
      if (const auto [other, fresh] = rlocs.emplace(rloc, node.name); !fresh)
        report_.error(at("rloc"), quoted(to_string(rloc)) + " is already the RLOC of " + quoted(other->second),
                      "give every edge its own RLOC");
      if (!port.gateway.is_unspecified()) {
        if (port.gateway == rloc)
          report_.error(at("gateway"), "gateway and RLOC are the same address",
                        "the gateway is the router's address on this link");
        else if (!port.rloc.subnet().contains(port.gateway))
          report_.error(at("rloc"),
                        "the RLOC " + to_string(port.rloc) + " and its gateway " + to_string(port.gateway) +
                            " are not in one subnet",
                        "give both an address of one link subnet");
      }
      // Real devices may share a link; the launcher makes one link per edge.
      if (!port.router.empty())
        subnets.push_back({0, port.rloc.subnet(), "the link of " + quoted(node.name), at("rloc")});
    }
    for (std::size_t i = 0; i < config_.underlay.links.size(); ++i) {
      const auto& link = config_.underlay.links[i];
      const bool first = refers(routers_, link.first, {"underlay", "links", i, "between", std::size_t{0}}, "router");
      const bool second = refers(routers_, link.second, {"underlay", "links", i, "between", std::size_t{1}}, "router");
      const bool known = first && second;
      if (known && link.first == link.second)
        report_.error({"underlay", "links", i, "between"}, "a link from " + quoted(link.first) + " to itself",
                      "name two routers");
      if (link.subnet.length == unreadable_length)
        continue;
      if (link.subnet.address.bits() - link.subnet.length < 2)
        report_.error({"underlay", "links", i, "subnet"}, to_string(link.subnet) + " has no room for two routers",
                      "a /30 has");
      subnets.push_back(
          {0, link.subnet, "the link " + link.first + "-" + link.second, {"underlay", "links", i, "subnet"}});
    }
    check_overlaps(subnets);
    check_connected();
  }

  /// Every router that carries an edge can reach the first such one.
  void check_connected() {
    std::map<std::string_view, std::vector<std::string_view>> neighbours;
    for (const auto& link : config_.underlay.links) {
      neighbours[link.first].push_back(link.second);
      neighbours[link.second].push_back(link.first);
    }
    std::set<std::string_view> reached;
    for (std::size_t i = 0; i < config_.nodes.size(); ++i) {
      const auto& node = config_.nodes[i];
      if (!node.underlay || !routers_.contains(node.underlay->router))
        continue;
      const std::string_view router = node.underlay->router;
      if (reached.empty()) {
        std::vector<std::string_view> open{router};
        while (!open.empty()) {
          const auto next = open.back();
          open.pop_back();
          if (reached.insert(next).second)
            open.insert(open.end(), neighbours[next].begin(), neighbours[next].end());
        }
      }
      if (!reached.contains(router))
        report_.error({"nodes", i, "underlay", "router"},
                      "no links lead from router " + quoted(router) + " to " + quoted(*reached.begin()),
                      "add 'links: [{between: [" + std::string{*reached.begin()} + ", " + std::string{router} +
                          "], subnet: ...}]' to the underlay");
    }
  }

  void check_attachments() {
    std::vector<claim> prefixes;
    std::map<std::pair<model::tenant_id, ip_address>, std::string> addresses;
    for (std::size_t i = 0; i < config_.nodes.size(); ++i)
      for (std::size_t j = 0; j < config_.nodes[i].attachments.size(); ++j)
        check_attachment(i, j, prefixes, addresses);
    check_overlaps(prefixes);
  }

  void check_attachment(std::size_t i, std::size_t j, std::vector<claim>& prefixes,
                        std::map<std::pair<model::tenant_id, ip_address>, std::string>& addresses) {
    const auto& node = config_.nodes[i];
    const auto& attachment = node.attachments[j];
    const yaml_path here{"nodes", i, "attachments", j};
    const auto at = [&](std::initializer_list<yaml_step> more) {
      auto path = here;
      path.insert(path.end(), more);
      return path;
    };
    const auto owner = "attachment " + quoted(attachment.name) + " of " + quoted(node.name);
    tenants_.insert(attachment.tenant);
    if (attachment.host.has_value() == !attachment.interface.empty())
      report_.error(here,
                    attachment.host ? "the attachment has both 'host' and 'interface'"
                                    : "the attachment has neither 'host' nor 'interface'",
                    "'host' on one machine, 'interface' for a device of a real one");
    // Behind an underlay MTU out of range the default stands, which is large enough.
    if (attachment.mtu + encapsulation_room_bytes > config_.underlay.mtu)
      report_.error(at({"mtu"}),
                    "MTU " + std::to_string(attachment.mtu) + " leaves no room for encapsulation in the underlay's " +
                        std::to_string(config_.underlay.mtu),
                    "set underlay.mtu to at least " + std::to_string(attachment.mtu + encapsulation_room_bytes) +
                        " or this one to at most " + std::to_string(config_.underlay.mtu - encapsulation_room_bytes));
    const auto claim_address = [&](const ip_address& address, std::string what, const yaml_path& path) {
      const auto [other, fresh] = addresses.emplace(std::pair{attachment.tenant, address}, std::move(what));
      if (!fresh)
        report_.error(path, quoted(to_string(address)) + " is already an address of " + other->second,
                      "choose a free address");
    };

    for (std::size_t k = 0; k < attachment.prefixes.size(); ++k) {
      const auto& prefix = attachment.prefixes[k];
      const auto path = at({"prefixes", k});
      // 0.0.0.0/0 and ::/0 mean what is left: other prefixes may lie inside, another default may not.
      const std::uint64_t realm = (std::uint64_t{attachment.tenant} << 1 | (prefix.length == 0)) + 1;
      if (prefix.length == unreadable_length)
        continue;
      prefixes.push_back({realm, prefix, owner, path});
    }
    for (std::size_t k = 0; k < attachment.gateways.size(); ++k) {
      const auto& gateway = attachment.gateways[k];
      if (gateway.address.is_unspecified())
        continue;
      const auto path = at({"gateway", k});
      claim_address(gateway.address, "the gateway of " + owner, path);
      for (std::size_t other = 0; other < k; ++other)
        if (attachment.gateways[other].subnet().overlaps(gateway.subnet()) &&
            !attachment.gateways[other].address.is_unspecified())
          report_.error(path, "a second gateway in the subnet " + to_string(attachment.gateways[other].subnet()),
                        "one gateway per subnet");
      const bool inside = std::any_of(attachment.prefixes.begin(), attachment.prefixes.end(), [&](const auto& prefix) {
        return prefix.length == unreadable_length || prefix.contains(gateway.subnet());
      });
      if (!inside && !attachment.prefixes.empty())
        report_.error(path,
                      "the gateway's subnet " + to_string(gateway.subnet()) + " is not in the attachment's prefixes",
                      "add it to 'prefixes'");
    }
    if (attachment.gateways.empty())
      report_.error(at({"gateway"}), "an attachment needs a gateway",
                    "write an address of the edge, for example 10.1.0.1/24");
    if (attachment.prefixes.empty() && !attachment.gateways.empty())
      report_.error(at({"prefixes"}), "no prefixes", "remove the key, then the gateway's subnet counts");
    if (attachment.host)
      for (std::size_t k = 0; k < attachment.host->addresses.size(); ++k) {
        const auto& address = attachment.host->addresses[k];
        if (address.address.is_unspecified())
          continue;
        const auto path = at({"host", "addresses", k});
        claim_address(address.address, "host " + quoted(attachment.host->name), path);
        const bool local =
            std::any_of(attachment.gateways.begin(), attachment.gateways.end(), [&](const auto& gateway) {
              return gateway.address.is_unspecified() || gateway.subnet() == address.subnet();
            });
        if (!local)
          report_.error(
              path, to_string(address) + " is in no gateway's subnet",
              attachment.gateways.empty() ? "" : "choose an address of " + to_string(attachment.gateways[0].subnet()));
      }
    if (attachment.host && attachment.host->addresses.empty())
      report_.error(at({"host"}), "a host needs an address", "write one of the gateway's subnet");
  }

  void check_instances() {
    for (std::size_t i = 0; i < config_.instances.size(); ++i) {
      const auto& instance = config_.instances[i];
      if (refers(classes_, instance.vnf_class, {"instances", i, "class"}, "VNF class"))
        populated_.insert(instance.vnf_class);
      if (!refers(nodes_, instance.node, {"instances", i, "node"}, "node"))
        continue;
      const auto& node = config_.nodes[nodes_.at(instance.node)];
      if (!node.has(role::edge) && !node.roles.empty())
        report_.error({"instances", i, "node"}, "node " + quoted(node.name) + " is no edge",
                      "VNF instances run at edges");
    }
  }

  void check_services() {
    for (std::size_t i = 0; i < config_.services.size(); ++i) {
      const auto& service = config_.services[i];
      if (service.chain.empty())
        report_.error({"services", i, "chain"}, "an empty chain",
                      "name the VNF classes in the order packets cross them");
      if (service.chain.size() > max_chain_classes)
        report_.error({"services", i, "chain"}, "a chain of " + std::to_string(service.chain.size()) + " classes",
                      "at most " + std::to_string(max_chain_classes) + " are possible");
      if (service.matches.empty())
        report_.error({"services", i, "match"}, "a service that matches nothing",
                      "add a match; '- {}' matches everything");
      for (std::size_t j = 0; j < service.chain.size() && j <= max_chain_classes; ++j) {
        const yaml_path here{"services", i, "chain", j};
        if (!refers(classes_, service.chain[j], here, "VNF class"))
          continue;
        if (!populated_.contains(service.chain[j]))
          report_.error(here, "VNF class " + quoted(service.chain[j]) + " has no instance", "add one to 'instances'");
        if (std::find(service.chain.begin(), service.chain.begin() + static_cast<std::ptrdiff_t>(j),
                      service.chain[j]) != service.chain.begin() + static_cast<std::ptrdiff_t>(j))
          report_.error(here, "class " + quoted(service.chain[j]) + " twice in one chain",
                        "a chain crosses each class once");
      }
      check_weights(i);
      if (!tenants_.empty() && !tenants_.contains(service.tenant))
        report_.error({"services", i, "tenant"}, "no attachment carries tenant " + std::to_string(service.tenant),
                      "set 'tenant' of an attachment, or of this service");
    }
  }

  /// Weights name instances of the chain, and leave each of its classes one that may be chosen.
  void check_weights(std::size_t i) {
    const auto& service = config_.services[i];
    const auto& weights = service.policy.weights;
    if (weights.empty())
      return;
    std::map<std::string_view, bool> usable;
    names members;
    for (std::size_t k = 0; k < config_.instances.size(); ++k) {
      const auto& instance = config_.instances[k];
      if (std::find(service.chain.begin(), service.chain.end(), instance.vnf_class) == service.chain.end())
        continue;
      members.emplace(instance.name, k);
      const bool drained = std::any_of(weights.begin(), weights.end(), [&](const auto& each) {
        return each.instance == instance.name && each.weight == 0;
      });
      usable[instance.vnf_class] |= !drained;
    }
    for (const auto& each : weights)
      if (!each.instance.empty() && !members.contains(each.instance))
        report_.error({"services", i, "policy", "weights", each.instance},
                      "no instance " + quoted(each.instance) + " of this chain",
                      suggest(each.instance, words(members), "instances"));
    for (const auto& [vnf_class, any] : usable)
      if (!any)
        report_.error({"services", i, "policy", "weights"},
                      "all instances of class " + quoted(vnf_class) + " have weight 0", "give one of them a weight");
  }

  const cluster_config& config_;
  config_report& report_;
  names routers_, nodes_, classes_;
  std::set<std::string_view> populated_;
  std::set<model::tenant_id> tenants_;
};

} // namespace

void check_config(const cluster_config& config, config_report& report) {
  checker{config, report}.check();
}

} // namespace glocal::node
