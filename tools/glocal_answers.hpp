#pragma once
// What the commands that show a running cluster share: asking its nodes, and doing it again.

#include "node/launcher/cluster_state.hpp"
#include "tools/glocal_cells.hpp"
#include "tools/glocal_commands.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace glocal::cli {

/// What one node said.
struct answer {
  std::string node;
  nlohmann::json body;
  bool reachable = false;
  /// HTTP status of a refusal; 0 when there is none.
  int status = 0;
  std::string error;
};

/// Asks all nodes, some at once, in the order of the cluster file. A refusal (this role has no such page) is an empty
/// answer of a reachable node.
[[nodiscard]] std::vector<answer> ask_all(const node::cluster_state& state, const std::string& target);
/// The same of some nodes. @param post_body what is sent along, as POST; empty: GET.
[[nodiscard]] std::vector<answer> ask_nodes(const node::cluster_state& state, const std::vector<std::string>& nodes,
                                            const std::string& target, const std::string& post_body = {});

/// The same by GET, where `read` takes each answer's text: for large ones, which become no JSON values. Called on any
/// thread, once for each node that answered, with its index; false when the text is not what it should be.
[[nodiscard]] std::vector<answer> ask_nodes(const node::cluster_state& state, const std::vector<std::string>& nodes,
                                            const std::string& target,
                                            const std::function<bool(std::size_t, const std::string&)>& read);
/// `text` as a value of a query, percent-encoded (RFC 3986 section 2.3).
[[nodiscard]] std::string query_value(std::string_view text);

/// Exit code for the answers; names the nodes that did not answer on standard error.
[[nodiscard]] int code_of(const std::vector<answer>& answers);
/// The worse of two answers' codes: nothing reached beats partly reached beats all.
[[nodiscard]] int worse(int a, int b);

/// The one node of that name, or all for "". Nothing, and the reason printed, when there is none of that name.
[[nodiscard]] std::optional<std::vector<std::string>> nodes_meant(const node::cluster_state& state,
                                                                  const std::string& node);
[[nodiscard]] std::filesystem::path socket_of(const node::cluster_state& state, const std::string& node);

/// Runs `once` on the running cluster the options mean; with `--watch` again every second until a signal.
int repeated(const view_options& options, const std::function<int(const node::cluster_state&)>& once);
/// Before a table that takes the place of the former one on a terminal.
void clear_screen(const view_options& options);

} // namespace glocal::cli
