#pragma once
// Actors as nodes describe them (GET /api/v1/actors), turned into what `glocal actors` shows. Pure.
//
// Rows and not JSON values, because a node may have 10,000 actors: what a table needs is read straight from the text.

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace glocal::cli {

/// What tables show of an actor. Whatever a node leaves out or sends as something else is as here.
struct actor_row {
  std::string node, kind, name, last_error;
  /// Nothing for an actor of the node itself.
  std::optional<std::string> parent_name;
  /// `ready`, `unhealthy`, `no answer`, or the beginning of its own words.
  std::string state;
  std::uint64_t id = 0, parent = 0, mailbox = 0, mailbox_peak = 0, messages_in = 0, messages_out = 0, restarts = 0;
  /// The node's own; nothing for an actor that is new.
  std::optional<double> in_per_s, out_per_s;
  double oldest_wait_s = 0, handling_p50_us = 0, handling_p99_us = 0, age_s = 0;
  /// Among the texts that parse_actors() added, if it was asked to.
  std::size_t place = 0;
};
using actor_rows = std::vector<actor_row>;

/// The rows of a node's answer. Nothing when it is no JSON object.
/// @param as_sent where to add the JSON of each, on one line, too.
[[nodiscard]] std::optional<actor_rows> parse_actors(std::string_view text,
                                                     std::vector<std::string>* as_sent = nullptr);

/// By node and name.
void sort_actors(actor_rows& rows);
/// Rates between two samples in place of the nodes' own; nothing for an actor that was not in the former one. The time
/// between is the difference of its ages.
void take_rates(const actor_rows& former, actor_rows& now);
/// What the nodes sent of `rows`, in their order and with their rates. REQUIRES: their places are of `as_sent`.
[[nodiscard]] std::vector<nlohmann::json> described_actors(const actor_rows& rows,
                                                           const std::vector<std::string>& as_sent);
/// {"actors": [...]} of such texts; one actor a line, or all on one.
[[nodiscard]] std::string actors_document(const std::vector<std::string>& actors, bool one_line);

[[nodiscard]] std::string actors_table(const actor_rows& actors);
/// Children below their parents, node by node. REQUIRES: sorted.
[[nodiscard]] std::string actors_tree(const actor_rows& actors);
/// Everything about one actor.
[[nodiscard]] std::string actor_page(const nlohmann::json& actor);
/// The `rows` busiest, by messages per second in, then by messages in their mailbox.
[[nodiscard]] actor_rows busiest_actors(actor_rows actors, std::size_t rows);

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
[[nodiscard]] std::vector<std::string> actor_names(const actor_rows& actors);

} // namespace glocal::cli
