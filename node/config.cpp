#include "node/config.hpp"

#include "base/hash.hpp"

#include <algorithm>

namespace glocal::node {
namespace {

/// IFNAMSIZ without the terminator.
constexpr std::size_t max_interface_name = 15;

template <class Range>
auto find_named(const Range& range, std::string_view name) noexcept -> decltype(range.data()) {
  const auto found = std::find_if(range.begin(), range.end(), [&](const auto& item) { return item.name == name; });
  return found == range.end() ? nullptr : &*found;
}

/// `name` if it leaves room for `suffix`, else its start, a dot (which no name has) and 30 bits of its hash.
std::string short_name(std::string_view name, std::string_view suffix) {
  constexpr std::string_view digits = "0123456789abcdefghijklmnopqrstuv";
  constexpr std::size_t hash_digits = 6;
  const auto room = max_interface_name - suffix.size();
  std::string out{name};
  if (out.size() > room) {
    out.resize(room - hash_digits - 1);
    out += '.';
    auto hash = hash_text(name);
    for (std::size_t i = 0; i < hash_digits; ++i, hash >>= 5)
      out += digits[hash & 31];
  }
  return out.append(suffix);
}

} // namespace

std::string to_string(const diagnostic& what) {
  auto out = what.file + ":";
  if (what.line != 0)
    out += std::to_string(what.line) + ":" + std::to_string(what.column) + ":";
  out += " error: " + what.message;
  if (!what.suggestion.empty())
    out += "\n  help: " + what.suggestion;
  return out;
}

bool endpoint::is_loopback() const noexcept {
  const auto& octets = address.octets;
  if (address.is_v4())
    return octets[0] == 127;
  return octets[15] == 1 && std::all_of(octets.begin(), octets.begin() + 15, [](auto octet) { return octet == 0; });
}

std::string to_string(const endpoint& where) {
  const auto host = to_string(where.address);
  return (where.address.is_v4() ? host : "[" + host + "]") + ":" + std::to_string(where.port);
}

std::string_view to_string(role what) noexcept {
  switch (what) {
  case role::edge: return "edge";
  case role::store: return "store";
  case role::mano: return "mano";
  case role::lisp: return "lisp";
  }
  return "?";
}

bool node_config::has(role wanted) const noexcept {
  return std::find(roles.begin(), roles.end(), wanted) != roles.end();
}

bool node_config::uses_real_devices() const noexcept {
  return (underlay && !underlay->interface.empty()) ||
         std::any_of(attachments.begin(), attachments.end(), [](const auto& one) { return !one.interface.empty(); });
}

bool cluster_config::uses_tls() const noexcept {
  if (security.tls != tls_mode::automatic)
    return security.tls == tls_mode::on;
  return std::any_of(nodes.begin(), nodes.end(), [](const auto& node) { return node.uses_real_devices(); });
}

const node_config* cluster_config::find_node(std::string_view node) const noexcept {
  return find_named(nodes, node);
}

const model::vnf_class* cluster_config::find_class(std::string_view vnf_class) const noexcept {
  return find_named(vnf_classes, vnf_class);
}

const model::vnf_instance* cluster_config::find_instance(std::string_view instance) const noexcept {
  return find_named(instances, instance);
}

std::vector<const node_config*> cluster_config::nodes_with(role wanted) const {
  std::vector<const node_config*> out;
  for (const auto& node : nodes)
    if (node.has(wanted))
      out.push_back(&node);
  return out;
}

std::size_t cluster_config::replica_count() const {
  return std::min<std::size_t>(store.wanted_replicas.value_or(3), nodes_with(role::store).size());
}

std::vector<const node_config*> cluster_config::etcd_hosts() const {
  if (store.where != store_register::etcd_local)
    return {};
  auto out = nodes_with(role::store);
  out.resize(out.size() >= 3 ? 3 : std::min<std::size_t>(out.size(), 1));
  return out;
}

std::vector<std::string> cluster_config::etcd_endpoints() const {
  if (store.where == store_register::etcd)
    return store.etcd_endpoints;
  std::vector<std::string> out;
  for (const auto* host : etcd_hosts())
    out.push_back("http://" + to_string(endpoint{host->control.address, etcd_client_port}));
  return out;
}

std::vector<const model::vnf_instance*> cluster_config::instances_at(std::string_view node) const {
  std::vector<const model::vnf_instance*> out;
  for (const auto& instance : instances)
    if (instance.node == node)
      out.push_back(&instance);
  return out;
}

std::uint16_t cluster_config::largest_attachment_mtu() const noexcept {
  std::uint16_t largest = 0;
  for (const auto& node : nodes)
    for (const auto& attachment : node.attachments)
      largest = std::max(largest, attachment.mtu);
  return largest == 0 ? std::uint16_t{1500} : largest;
}

std::string underlay_interface(const cluster_config& config, std::string_view node) {
  const auto* found = config.find_node(node);
  if (found != nullptr && found->underlay && !found->underlay->interface.empty())
    return found->underlay->interface;
  return "underlay0";
}

std::string attachment_interface(const cluster_config& config, std::string_view node, std::string_view attachment) {
  const auto* found = config.find_node(node);
  std::size_t index = 0;
  if (found != nullptr)
    for (const auto& candidate : found->attachments) {
      if (candidate.name == attachment && !candidate.interface.empty())
        return candidate.interface;
      if (candidate.name == attachment)
        break;
      ++index;
    }
  return "attach" + std::to_string(index);
}

arm_interfaces vnf_arm_interfaces(const cluster_config&, std::string_view instance) {
  return {short_name(instance, "-in"), short_name(instance, "-out")};
}

std::uint32_t instance_index(const cluster_config& config, std::string_view instance) {
  const auto* found = config.find_instance(instance);
  return found == nullptr ? 0 : static_cast<std::uint32_t>(found - config.instances.data());
}

} // namespace glocal::node
