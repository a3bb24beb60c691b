#pragma once
// Steps of traced packets as nodes tell them (POST trace/read, trace/simulate), turned into what `glocal trace` shows.
// Pure. Nothing a node sends is trusted to be there or of its type.
//
// A step: trace, node, who, what, fields, choices, config, and t_ns, the time on the clock all are compared by.

#include <nlohmann/json.hpp>

#include <string>

namespace glocal::cli {

/// Packets from the steps of all nodes, in the order they were met: {"trace", "packet", "tcp_flags", "nodes" (in the
/// order crossed), "outcome" {"result", "node", "reason"}, "took_us", "steps" (in order of time)}.
/// outcome.result: delivered, dropped, answered, held, waiting (for a neighbour), in function (it went in and was not
/// seen since), left (for another edge, and was not seen there), unknown.
[[nodiscard]] nlohmann::json traced_packets(const nlohmann::json& steps);

/// One packet as a tree: a line that sums it up, then node by node its steps with the time since the first.
[[nodiscard]] std::string packet_tree(const nlohmann::json& packet);

/// A packet that was not sent, as a tree without times. @param steps of trace/simulate.
[[nodiscard]] std::string simulated_tree(const nlohmann::json& steps);

/// What a step says, in words: "by subscribers, ttl 64". Without its choices.
[[nodiscard]] std::string step_words(const nlohmann::json& step);

} // namespace glocal::cli
