#pragma once
// How the nouns of the system are keyed in the tables of the global state.
// Text keys, except `flows`, whose keys are packed because there are millions.

#include "actors/model/model.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace glocal::model::keys {

/// Table `catalogue`.
[[nodiscard]] inline std::string service(std::string_view name) {
  return "service/" + std::string{name};
}
inline constexpr std::string_view all_services = "service/";
[[nodiscard]] inline std::string vnf_class(std::string_view name) {
  return "class/" + std::string{name};
}
inline constexpr std::string_view all_vnf_classes = "class/";

/// Table `instances`: instance → class and location. The class → instances direction is the class's digest.
[[nodiscard]] inline std::string instance(std::string_view name) {
  return std::string{name};
}

/// Table `flows`: tenant (4 bytes, big-endian) then the canonical tuple: family, protocol, and per end 16 address
/// bytes and the port (big-endian). 42 bytes; both directions of a connection have one key.
[[nodiscard]] std::string flow(tenant_id tenant, const five_tuple& tuple);

/// Table `paths`: six lower-case hexadecimal digits.
[[nodiscard]] std::string path(path_id id);
/// The id in a key of table `paths`; none when it is not one.
[[nodiscard]] std::optional<path_id> parse_path(std::string_view key);

/// Table `status`.
[[nodiscard]] inline std::string status(std::string_view vnf_class, std::string_view instance) {
  return std::string{vnf_class} + "/" + std::string{instance};
}

/// Table `digests`. Hands above the first have keys that a watch on the class does not see, as an edge wants one hand.
[[nodiscard]] inline std::string digest(std::string_view vnf_class, std::uint32_t hand = 0) {
  return (hand == 0 ? std::string{} : std::to_string(hand) + "/") + std::string{vnf_class};
}

/// Table `links`: who measured, and to where.
[[nodiscard]] inline std::string link(std::string_view from, std::string_view to) {
  return std::string{from} + "/" + std::string{to};
}

/// Table `mappings`: the tenant and the EID prefix as text.
[[nodiscard]] inline std::string mapping(tenant_id tenant, const ip_prefix& eid) {
  return std::to_string(tenant) + "/" + to_string(eid);
}

/// Table `mappings`: one of several registrations of an EID that are merged.
[[nodiscard]] std::string merged_mapping(tenant_id tenant, const ip_prefix& eid, std::string_view registrant);

/// Table `subscriptions`: as its mapping's, and who subscribed.
[[nodiscard]] std::string subscription(tenant_id tenant, const ip_prefix& eid, std::string_view xtr);
/// Table `subscriptions`: that a node with the role lisp is there, as long as its lease lives.
inline constexpr std::string_view all_lisp_servers = "server/";
[[nodiscard]] inline std::string lisp_server(std::string_view node) {
  return std::string{all_lisp_servers} + std::string{node};
}

} // namespace glocal::model::keys
