#pragma once
// Steps of traced packets as JSON: what `glocal trace` and `glocal replay` show (docs/trace.md). Pure.

#include "actors/edge/trace_book.hpp"
#include "node/config.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace glocal::node {

/// `figure3.yaml:134`: where in the cluster file the rule stands that a step "rule" names; empty when this node's file
/// has no such rule (the catalogue was published from another).
[[nodiscard]] std::string config_line_of(const actors::trace_entry& step, const cluster_config& config);

/// One step: trace (hexadecimal), at_ns, node, who, what, fields, choices, and `config`, the line of a rule.
[[nodiscard]] nlohmann::json step_json(const actors::trace_entry& step, const cluster_config& config);

} // namespace glocal::node
