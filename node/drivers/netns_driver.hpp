#pragma once
// VNF instances as network namespaces that forward: what the "netns" driver of a VNF class means.
//
//   edge's namespace                     VNF's namespace (`vnf-NAME`)
//   spec.in_interface   ───── veth ───── in    100.64.x.2/30, default route of what came from `out`
//   spec.out_interface  ───── veth ───── out   100.64.x.6/30, default route of what came from `in`
//
// What enters one arm leaves by the other, whatever its addresses (`ip rule iif`): the VNF needs to know no topology.
// The edge's ends have no kernel address, answer no ARP and refuse what the kernel gets to see; the data plane that
// opens them owns `edge_address` and must answer ARP for it with `edge_mac`.
//
// Ownership: every instance is recorded as a file in the driver's directory before anything is made, with the identity
// of its namespace; `start` first removes what such a record says is left over, and nothing else is ever removed.
// Threading: one thread at a time per driver. Every call blocks for up to the time bound of its commands.
// REQUIRES: CAP_NET_ADMIN and CAP_SYS_ADMIN over the caller's network and mount namespace.

#include "base/expected.hpp"
#include "base/net.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace glocal::node {

struct instance_spec {
  std::string name;
  /// Shell commands run inside the namespace, in order.
  std::vector<std::string> setup;
  /// Names of the edge's ends (`vnf_arm_interfaces`).
  std::string in_interface, out_interface;
  /// Differs between the instances of a cluster and is below 2^19 (`instance_index`): picks the arms' subnets and MACs.
  std::uint32_t index = 0;
  std::uint16_t mtu = 1500;
  /// Bound on each setup command.
  std::chrono::milliseconds setup_timeout{20'000};
};

struct vnf_arm {
  /// Device in the caller's namespace, for the data plane to open.
  std::string interface;
  /// The VNF's next hop on this arm.
  ip_address edge_address;
  ip_address vnf_address;
  mac_address edge_mac, vnf_mac;
};

struct started_instance {
  std::string name;
  /// As `ip netns` shows it.
  std::string network_namespace;
  vnf_arm in, out;
};

struct driver_error {
  enum class kind {
    /// Namespace or link could not be made: rights, names taken by others, kernel features.
    host,
    /// A setup command failed or ran out of time.
    setup,
  } what;
  /// For people: the command and what it wrote to standard error.
  std::string message;
};

class netns_driver {
public:
  /// @param records directory for ownership records; created (0700) if absent. One driver per directory.
  explicit netns_driver(std::filesystem::path records);

  /// Makes the instance, runs its setup and returns its arms, up and ready for traffic. On failure nothing is left.
  [[nodiscard]] expected<started_instance, driver_error> start(const instance_spec& spec);
  /// Removes a started instance; one that is not there is fine.
  [[nodiscard]] expected<void, driver_error> stop(std::string_view name);
  /// Stops every instance there is a record of.
  [[nodiscard]] expected<void, driver_error> stop_all();
  /// Whether the instance's namespace still exists and both arms have carrier. Cost: a few file reads, no process.
  [[nodiscard]] bool alive(std::string_view name) const;

private:
  std::filesystem::path records_;
};

/// The namespace of an instance's name.
[[nodiscard]] std::string vnf_namespace(std::string_view instance);

/// An arm's addresses and MACs as functions of the instance's index: 100.64.0.0/10 (RFC 6598) in /30s, two per
/// instance.
[[nodiscard]] vnf_arm arm_addresses(std::uint32_t index, bool out);

} // namespace glocal::node
