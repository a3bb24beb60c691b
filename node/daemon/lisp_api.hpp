#pragma once
// The role `lisp` of a node: how it is set up from a cluster file, and what `glocal lisp` shows of it.

#include "actors/lisp/lisp_actor.hpp"
#include "node/config.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace glocal::node {

/// @error a file of a key that can't be used, with what to do.
[[nodiscard]] expected<lisp::map_server_settings, std::string>
lisp_settings_of(const cluster_config& config, const std::string& node, std::uint64_t seed);

/// Of entries of table `mappings`, and of table `subscriptions`.
[[nodiscard]] nlohmann::json registrations_json(const std::vector<store::entry>& mappings);
[[nodiscard]] nlohmann::json subscribers_json(const std::vector<store::entry>& subscriptions);
/// The operation that `body` ({tenant, eid, rlocs}) asks for: without locators an erasure.
/// @error what is wrong with it, for people.
[[nodiscard]] expected<store::operation, std::string> mapping_operation(const nlohmann::json& body);
[[nodiscard]] nlohmann::json requesters_json(const actors::lisp_requesters& requesters);

} // namespace glocal::node
