#pragma once
// A cluster file as values: nodes, underlay, attachments, VNF classes and instances, services, settings.
//
// Invariant: a `cluster_config` that came out of `load_cluster` is sound: every name refers to something, no address,
// port or prefix clashes, every number is inside its documented range (docs/cluster-file.md). Code that reads one
// checks nothing again. Immutable after loading, so free to share between threads.

#include "actors/model/model.hpp"
#include "base/expected.hpp"
#include "base/net.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace glocal::node {

/// One thing wrong with a cluster file: where, what, and what to do about it.
struct diagnostic {
  std::string file;
  /// From 1; both 0 when the file as a whole is meant (not readable, too large).
  std::uint32_t line = 0, column = 0;
  std::string message;
  /// What would mend it; empty when nothing useful can be said.
  std::string suggestion;

  bool operator==(const diagnostic&) const = default;
};

/// `file:line:column: error: message` and, on a second line, `  help: suggestion`.
[[nodiscard]] std::string to_string(const diagnostic& what);

struct endpoint {
  ip_address address;
  std::uint16_t port = 0;

  auto operator<=>(const endpoint&) const = default;
  /// 127.0.0.0/8 or ::1: only this machine (or network namespace) reaches it.
  [[nodiscard]] bool is_loopback() const noexcept;
};

/// `10.255.0.11:7400`, `[fd00::1]:7400`
[[nodiscard]] std::string to_string(const endpoint& where);

enum class role : std::uint8_t { edge, store, mano, lisp };

[[nodiscard]] std::string_view to_string(role what) noexcept;

/// A host the launcher makes on this machine behind an attachment: a namespace with these addresses and its default
/// route at the attachment's gateway.
struct host_config {
  std::string name;
  std::vector<interface_address> addresses;
};

/// Where the outerlay meets an edge.
struct attachment_config {
  std::string name;
  model::tenant_id tenant = 0;
  /// Addresses the edge answers ARP and ND for; at least one, at most one per subnet.
  std::vector<interface_address> gateways;
  /// EID prefixes that live here: what sources may send, and what `mappings` sends here. Contain the gateways' subnets.
  std::vector<ip_prefix> prefixes;
  std::uint16_t mtu = 1500;
  /// Set on one machine; absent when `interface` names a real device.
  std::optional<host_config> host;
  /// Device of the real machine; empty when the launcher makes a veth.
  std::string interface;
};

/// An edge's port into the underlay. No kernel owns `rloc`: the data plane does.
struct underlay_port {
  /// Router the launcher plugs it into; empty on a real machine.
  std::string router;
  interface_address rloc;
  /// Next hop, in the subnet of `rloc`.
  ip_address gateway;
  /// Device of the real machine; empty when the launcher makes a veth.
  std::string interface;
};

/// The node's HTTP API over TCP, beside its Unix socket.
struct api_config {
  endpoint listen;
  /// Holds what callers have to show; empty only where `listen` is loopback.
  std::string token_file;
};

struct node_config {
  std::string name;
  std::vector<role> roles;
  /// Where peers reach this node's transport.
  endpoint control;
  /// Set exactly on edges.
  std::optional<underlay_port> underlay;
  std::vector<attachment_config> attachments;
  /// Where its Map-Server listens; empty: at all addresses of its machine.
  std::vector<ip_address> lisp_listen;
  std::optional<api_config> api;

  [[nodiscard]] bool has(role wanted) const noexcept;
  /// Whether it is plugged into devices of a real machine, so that `glocal up` can't make it.
  [[nodiscard]] bool uses_real_devices() const noexcept;
};

/// Link between two routers of the underlay; the lower host address of `subnet` is the first router's.
struct router_link {
  std::string first, second;
  ip_prefix subnet;
};

struct underlay_config {
  std::uint16_t mtu = 1700;
  std::vector<std::string> routers;
  std::vector<router_link> links;
};

struct flow_settings {
  /// A flow without packets for so long is forgotten.
  std::chrono::milliseconds idle_timeout{60'000};
  /// How long a closed TCP connection's entries stay for its last segments.
  std::chrono::milliseconds closed_linger{30'000};
  /// Connections at once per edge; the exact-match table is sized for five entries each.
  std::uint32_t capacity = 65'536;
  /// How long first packets wait for a decision before the service's `on_store_loss` speaks.
  std::chrono::milliseconds hold_timeout{2'000};
  /// New flows a second that a port, and all ports of a tenant at an edge, may have decided; 0: no bound.
  std::uint32_t new_flows_per_port = 20'000, new_flows_per_tenant = 50'000;
};

/// How lcores wait for packets: block when idle, or spin.
enum class poll_mode : std::uint8_t { adaptive, busy };

/// Where it is written who is a slot's primary and who its members are.
enum class store_register : std::uint8_t {
  /// At the first store node.
  embedded,
  /// In an etcd that `glocal up` starts: see etcd_hosts().
  etcd_local,
  /// In one that is there already.
  etcd
};

/// What keeps the global state.
enum class store_backend : std::uint8_t {
  /// The store nodes.
  federated,
  /// An etcd alone, at etcd_endpoints().
  etcd
};

struct store_settings {
  store_backend backend = store_backend::federated;
  std::uint32_t slots = 256;
  std::chrono::milliseconds lease_ttl{10'000};
  /// Copies of each slot, if the file says so; replica_count() is what there will be.
  std::optional<std::uint32_t> wanted_replicas;
  store_register where = store_register::embedded;
  /// Of `etcd`, as `http://10.0.0.1:2379`; `where` and this also say where the backend's is.
  std::vector<std::string> etcd_endpoints;
  /// Of each edge's reads of the store; 0 entries: none.
  std::uint32_t cache_entries = 65'536;
  std::uint32_t cache_bytes = 16u << 20;
};

/// Where the etcds of `etcd_local` listen, at their nodes' control addresses.
inline constexpr std::uint16_t etcd_client_port = 2379, etcd_peer_port = 2380;

/// Whether nodes speak TLS to each other.
enum class tls_mode : std::uint8_t {
  /// On, unless the whole cluster is on one machine.
  automatic,
  on,
  off
};

struct security_settings {
  tls_mode tls = tls_mode::automatic;
  /// Directory with ca.crt, NODE.crt and NODE.key on NODE's machine.
  std::string certificates = "/etc/glocal/tls";
};

/// Who answers for a site's EIDs.
enum class lisp_proxy : std::uint8_t { as_asked, always, never };

struct lisp_key_config {
  std::uint8_t id = 0;
  /// Itself, or the file that holds it, read when a node with the role `lisp` starts.
  std::string secret, secret_file;
  /// Numbers of RFC 9301 section 12.5.
  std::vector<std::uint8_t> algorithms{1, 2, 3};
};

/// Who may register which EIDs.
struct lisp_site_config {
  std::string name;
  model::tenant_id tenant = 0;
  std::vector<ip_prefix> prefixes;
  bool accept_more_specifics = false;
  std::vector<lisp_key_config> keys;
  lisp_proxy proxy = lisp_proxy::as_asked;
  bool increasing_nonce = false;
  /// Of dataplane/lisp/peer_profile.hpp.
  std::string profile = "plain";
  std::optional<std::uint64_t> site_id;
};

struct lisp_config {
  std::chrono::milliseconds registration_lifetime{180'000};
  /// Messages of a source, and its Map-Requests for one EID, a second; 0 is no limit.
  std::uint32_t per_source = 1000, per_eid = 1;
  std::vector<lisp_site_config> sites;
};

struct cluster_config {
  std::string name;
  /// Control and store traffic; every node's control address is in it.
  ip_prefix management;
  underlay_config underlay;
  flow_settings flow;
  poll_mode poll = poll_mode::adaptive;
  store_settings store;
  security_settings security;
  lisp_config lisp;
  std::vector<node_config> nodes;
  std::vector<model::vnf_class> vnf_classes;
  /// `rloc` is filled in from the instance's node.
  std::vector<model::vnf_instance> instances;
  std::vector<model::service> services;
  /// The file it was read from, by the name diagnostics carry, and per service the line of each of its matches there.
  std::string file;
  std::vector<std::vector<std::uint32_t>> match_lines;

  /// Null when there is none of that name.
  [[nodiscard]] const node_config* find_node(std::string_view node) const noexcept;
  [[nodiscard]] const model::vnf_class* find_class(std::string_view vnf_class) const noexcept;
  [[nodiscard]] const model::vnf_instance* find_instance(std::string_view instance) const noexcept;
  [[nodiscard]] std::vector<const node_config*> nodes_with(role wanted) const;
  [[nodiscard]] std::vector<const model::vnf_instance*> instances_at(std::string_view node) const;
  /// Copies of each slot: as many as the file wants, 3 if it says nothing, and no more than there are store nodes.
  [[nodiscard]] std::size_t replica_count() const;
  /// Store nodes that get a member of the local etcd: the first three, which survive a loss of one, else the first.
  /// Empty unless that is what the file asks for, for the register or as the backend.
  [[nodiscard]] std::vector<const node_config*> etcd_hosts() const;
  /// Of that etcd, local or not; empty when there is none.
  [[nodiscard]] std::vector<std::string> etcd_endpoints() const;
  /// Whether nodes speak TLS to each other. By the file alone, so that all nodes come to the same answer: `auto` is on
  /// as soon as any node uses a device of a real machine.
  [[nodiscard]] bool uses_tls() const noexcept;
  /// Greatest MTU of all attachments, which VNF arms have too: a chain must not shrink what a host may send.
  [[nodiscard]] std::uint16_t largest_attachment_mtu() const noexcept;
};

/// Encapsulation needs this much room between the attachments' and the underlay's MTU: outer Ethernet is not counted,
/// IPv6 40 + UDP 8 + LISP-GPE 8 + NSH 8 and 12 for a trace id + inner Ethernet 14 + VLAN 4 = 94, rounded up.
inline constexpr std::uint16_t encapsulation_room_bytes = 100;

/// Bounds on the file; above them nothing is parsed.
inline constexpr std::size_t max_file_bytes = 4u << 20;
/// Values after aliases are expanded, which is what a reader has to walk.
inline constexpr std::size_t max_file_values = 500'000;
/// NSH's service index starts at 255, yet a longer chain is a mistake.
inline constexpr std::size_t max_chain_classes = 16;

/// Reads and checks a cluster file. On failure all the errors there are, in file order, never none.
/// Cost: linear in the file, about 1 us per value.
[[nodiscard]] expected<cluster_config, std::vector<diagnostic>> load_cluster_file(const std::string& path);
/// The same from memory; `file` is the name diagnostics carry, and relative paths in it start where `file` is.
[[nodiscard]] expected<cluster_config, std::vector<diagnostic>> load_cluster(std::string_view text,
                                                                             const std::string& file);

// Device names on a node. Deterministic and at most 15 characters (IFNAMSIZ), whatever the names in the file.

/// The node's management device, owned by the kernel.
inline constexpr std::string_view management_interface = "mgmt0";

/// REQUIRES: `node` is an edge of `config`.
[[nodiscard]] std::string underlay_interface(const cluster_config& config, std::string_view node);
/// REQUIRES: `attachment` is one of `node`'s.
[[nodiscard]] std::string attachment_interface(const cluster_config& config, std::string_view node,
                                               std::string_view attachment);

struct arm_interfaces {
  std::string in, out;
};
/// The edge's ends of an instance's arms. REQUIRES: `instance` is one of `config`.
[[nodiscard]] arm_interfaces vnf_arm_interfaces(const cluster_config& config, std::string_view instance);
/// Dense number of an instance within the cluster, for what has to differ between instances (arm subnets).
/// REQUIRES: `instance` is one of `config`.
[[nodiscard]] std::uint32_t instance_index(const cluster_config& config, std::string_view instance);

} // namespace glocal::node
