#pragma once
// Actors as nodes describe them (GET /api/v1/actors), turned into what `glocal actors` shows. Pure.

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace glocal::cli {

/// The records of one sample of one or more nodes, each with what takes more than one of them to know: `parent_name`
/// (null for an actor of the node itself) and, against a `former` sample, `messages_in_per_s` and `messages_out_per_s`
/// (null for an actor that was not in it); without one, these are the node's own. Ordered by node and name.
/// @param former, now arrays of records, `former` may be null; the time between two is the difference of their `age_s`.
[[nodiscard]] nlohmann::json described_actors(const nlohmann::json& former, nlohmann::json now);

/// `ready`, `not ready`, `healthy`, `unhealthy`, `no answer` (no summary in time), or the beginning of its own words.
[[nodiscard]] std::string short_state(const nlohmann::json& actor);

// The functions below take described actors.

[[nodiscard]] std::string actors_table(const nlohmann::json& actors);
/// Children below their parents, node by node.
[[nodiscard]] std::string actors_tree(const nlohmann::json& actors);
/// Everything about one actor.
[[nodiscard]] std::string actor_page(const nlohmann::json& actor);
/// The `rows` busiest, by messages per second in, then by messages in their mailbox.
[[nodiscard]] nlohmann::json busiest_actors(nlohmann::json actors, std::size_t rows);
/// Those of that name; on several nodes there may be one each.
[[nodiscard]] nlohmann::json actors_named(const nlohmann::json& actors, std::string_view name);
/// Messages of a trace (POST /api/v1/actors/trace/read) as rows of a table that grows while they come: columns widen,
/// they never narrow.
class trace_rows {
public:
  /// The rows of `messages`, in their order; before the first ones the header. `node` is a member of each.
  [[nodiscard]] std::string add(const std::vector<nlohmann::json>& messages);

private:
  std::vector<std::size_t> widths_;
};

/// Each once.
[[nodiscard]] std::vector<std::string> actor_names(const nlohmann::json& actors);
/// Each once.
[[nodiscard]] std::vector<std::string> actor_kinds(const nlohmann::json& actors);

} // namespace glocal::cli
