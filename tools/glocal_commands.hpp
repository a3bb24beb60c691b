#pragma once
// The commands of `glocal`, each a function from its options to an exit code. Results go to standard output, progress
// and errors to standard error.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace glocal::cli {

/// DESIGN section 7.
enum exit_code : int {
  done = 0,
  failed = 1,
  usage = 2,
  invalid_config = 3,
  host_unfit = 4,
  unreachable = 5,
  no_match = 6,
  partial = 7,
  interrupted = 130,
};

enum class output { table, json };

/// True after SIGINT, SIGTERM or SIGHUP.
[[nodiscard]] bool was_interrupted() noexcept;
void watch_signals();

/// @param node also the files this node needs, on this machine; empty: the cluster file alone.
int check(const std::string& file, const std::string& node, output format);
/// @param file,node also what node `node` of the cluster file needs; empty: this machine alone.
int doctor(const std::string& file, const std::string& node, output format);

struct certificate_options {
  /// Of the cluster: its name and its nodes.
  std::string file;
  std::string directory = "certs";
  int days = 0;
  /// Replace what is there.
  bool renew = false;
};
int certificates_init(const certificate_options& options);
/// @param nodes empty: all.
int certificates_issue(const certificate_options& options, const std::vector<std::string>& nodes);
int certificates_show(const std::string& directory, output format);

struct up_options {
  std::string file;
  double timeout_s = 60;
  /// Empty: the glocald beside this program.
  std::string daemon;
};
int up(const up_options& options);

/// @param what a cluster file, a cluster's name, or empty for the only one.
int down(const std::string& what, double timeout_s);

/// @param cluster name, or empty for the only one that runs.
int exec(const std::string& cluster, const std::string& host, const std::vector<std::string>& command);

struct view_options {
  std::string cluster;
  output format = output::table;
  /// Repeat until interrupted.
  bool watch = false;
};
int status(const view_options& options);
int chain_list(const view_options& options);
int chain_show(const view_options& options, const std::string& id);
int flow_list(const view_options& options);
/// @param text part of the flow's 5-tuple as `flow ls` shows it.
int flow_show(const view_options& options, const std::string& text);

struct actor_options {
  view_options view;
  /// Empty: all.
  std::string node;
  /// Between two looks that rates are taken from; 0: one look, and the rates the node has of the last second or two.
  double sample_s = 0;
  /// `top` shows so many.
  std::size_t rows = 20;
};
int actors_list(const actor_options& options);
int actors_tree(const actor_options& options);
int actors_top(const actor_options& options);
int actors_show(const actor_options& options, const std::string& name);
int actors_dead_letters(const actor_options& options);
int actors_kill(const actor_options& options, const std::string& name);
struct actor_trace_options {
  actor_options where;
  /// Name or kind; `*` stands for any text.
  std::string match;
  /// Of all nodes together.
  std::size_t count = 100;
  double seconds = 10;
};
int actors_trace(const actor_trace_options& options);

struct trace_options {
  std::string cluster;
  output format = output::table;
  /// The edge; empty: all.
  std::string at;
  /// Of a simulated packet: the port it comes by; empty: the attachment its source is of.
  std::string port;
  /// Packets, and how long to wait for them.
  std::size_t count = 10;
  double seconds = 30;
  bool drops = false;
  /// Instead of a trace that runs already.
  bool replace = false;
};
/// Shows what happens to packets `filter` (tools/trace_text.hpp) is about.
int trace_live(const trace_options& options, const std::string& filter);
/// Shows what would happen to `packet`.
int trace_simulate(const trace_options& options, const std::string& packet);

struct replay_options {
  /// A capture; - is standard input.
  std::string capture;
  /// The cluster file, and one of its edges.
  std::string file, edge;
  /// By which all packets come; empty: each by its own.
  std::string port;
  /// What leaves the edge; empty: nowhere.
  std::filesystem::path out;
  std::size_t count = static_cast<std::size_t>(-1);
  /// VNF instances keep what they get, instead of giving it back.
  bool vnfs_keep = false;
  bool with_steps = false, only_summary = false;
  output format = output::table;
};
int replay(const replay_options& options);

/// @param node empty: all, one after the other.
int metrics(const std::string& cluster, const std::string& node);
/// Shows the level of the nodes' logs, changed to `level` unless that is empty.
int log_level(const view_options& view, const std::string& node, const std::string& level);

struct lisp_decode_options {
  /// A capture file, `-` for one on standard input, or a message in hexadecimal.
  std::string what;
  /// The message is the payload of a data packet.
  bool is_data = false;
  /// As parse_site_key takes them.
  std::vector<std::string> keys;
  output format = output::table;
};
int lisp_decode(const lisp_decode_options& options);

struct lisp_query_options {
  /// As parse_query_eid and parse_udp_endpoint take them.
  std::string eid, server = "127.0.0.1";
  /// Besides the one of the EID's text; 0: none.
  std::uint32_t instance_id = 0;
  /// Not encapsulated.
  bool plain = false;
  /// 0: any that is free.
  std::uint16_t source_port = 0;
  double timeout_s = 3;
  output format = output::table;
};
int lisp_query(const lisp_query_options& options);

/// Of a running cluster's Map-Servers: what is registered, who subscribes, who asked for what lately.
int lisp_registrations(const view_options& options);
int lisp_subscribers(const view_options& options);
/// @param node empty: all that have the role.
int lisp_cache(const view_options& options, const std::string& node);
struct lisp_map_options {
  std::string cluster;
  std::uint32_t tenant = 0;
  std::string eid;
  /// In the order they are to be used; none: the mapping goes.
  std::vector<std::string> rlocs;
};
int lisp_map(const lisp_map_options& options);

} // namespace glocal::cli
