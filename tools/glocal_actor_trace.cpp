// actors trace: the messages that actors of some nodes handle, merged in the order of time while they come.

#include "node/config_report.hpp"
#include "tools/actors_view.hpp"
#include "tools/glocal_answers.hpp"
#include "tools/glocal_clusters.hpp"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <map>
#include <set>
#include <thread>

namespace glocal::cli {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

/// A node keeps a few thousand messages for its reader.
constexpr auto read_interval = 100ms;
constexpr auto path = "/api/v1/actors/trace";

/// One trace on each of some nodes.
class cluster_trace {
public:
  cluster_trace(const node::cluster_state& state, const actor_trace_options& options)
      : state_{state}, options_{options} {}

  /// Nothing when at least one node traces; else the exit code, with the reason printed.
  std::optional<int> start(const std::vector<std::string>& nodes) {
    const auto answers =
        ask_nodes(state_, nodes, path,
                  json{{"match", options_.match}, {"count", options_.count}, {"seconds", options_.seconds}}.dump());
    const auto reached = code_of(answers);
    bool complained = reached != done;
    for (const auto& one : answers)
      if (const auto& id = at(one.body, {"id"}); id.is_number_unsigned()) {
        running_[one.node] = id;
        actors_ += at(one.body, {"actors"}).is_number_unsigned() ? at(one.body, {"actors"}).get<std::uint64_t>() : 0;
      } else if (one.reachable && one.status != 404) {
        complain("node " + one.node + ": " + one.error);
        complained = true;
      }
    if (!running_.empty()) {
      code_ = complained ? static_cast<int>(partial) : code_;
      return std::nullopt;
    }
    if (complained)
      return reached == done ? static_cast<int>(failed) : reached;
    return nobody_meant(nodes);
  }

  void say_what_runs() const {
    std::cerr << "tracing " << actors_ << (actors_ == 1 ? " actor" : " actors") << " on " << running_.size()
              << (running_.size() == 1 ? " node" : " nodes") << ", at most " << options_.count << " messages and "
              << options_.seconds << " s; Ctrl-C ends it\n";
  }

  [[nodiscard]] bool runs() const { return !running_.empty() && seen_ < options_.count; }

  /// What came since the last look, in the order of time.
  std::vector<json> look() {
    std::vector<json> out;
    for (const auto& [node, said] : ask_each("/read")) {
      if (!said.error.empty()) {
        // 404 after a stop of this process that was longer than the node's patience.
        complain("node " + node + ": " + said.error);
        code_ = partial;
        running_.erase(node);
        continue;
      }
      for (auto message : list(at(said.body, {"messages"}))) {
        if (!message.is_object())
          continue;
        message["node"] = node;
        out.push_back(std::move(message));
      }
      if (const auto& dropped = at(said.body, {"dropped"}); dropped.is_number_unsigned())
        dropped_[node] = dropped;
      if (const auto& end = at(said.body, {"end"}); end.is_string()) {
        end_ = end.get<std::string>();
        running_.erase(node);
      }
    }
    std::stable_sort(out.begin(), out.end(), earlier);
    if (out.size() > options_.count - seen_)
      out.resize(options_.count - seen_);
    seen_ += out.size();
    if (seen_ == options_.count)
      end_ = "count";
    return out;
  }

  void stop() { (void)ask_each("/stop"); }

  static bool earlier(const json& a, const json& b) {
    const auto time = [](const json& of) {
      const auto& value = at(of, {"time_us"});
      return value.is_number_integer() ? value.get<std::int64_t>() : 0;
    };
    return time(a) < time(b);
  }

  [[nodiscard]] std::size_t seen() const { return seen_; }
  [[nodiscard]] const std::string& end() const { return end_; }
  [[nodiscard]] int code() const { return code_; }
  [[nodiscard]] std::uint64_t dropped() const {
    std::uint64_t sum = 0;
    for (const auto& [node, count] : dropped_)
      sum += count;
    return sum;
  }

private:
  std::map<std::string, answer> ask_each(const std::string& what) {
    // Each node has an id of its own, so each is asked by itself; a read takes a millisecond.
    std::map<std::string, answer> out;
    for (const auto& [node, id] : running_)
      out[node] = ask_nodes(state_, {node}, path + what, json{{"id", id}}.dump())[0];
    return out;
  }

  int nobody_meant(const std::vector<std::string>& nodes) const {
    std::vector<actor_rows> parts(nodes.size());
    (void)ask_nodes(state_, nodes, "/api/v1/actors?state=brief", [&](std::size_t index, const std::string& text) {
      parts[index] = parse_actors(text).value_or(actor_rows{});
      return true;
    });
    std::set<std::string> known;
    for (const auto& rows : parts)
      for (const auto& row : rows)
        known.insert({row.name, row.kind});
    complain("no actor has the name or kind " + node::quoted(options_.match) + "; " +
             node::suggest(options_.match, {known.begin(), known.end()}, "names and kinds"));
    return no_match;
  }

  const node::cluster_state& state_;
  const actor_trace_options& options_;
  std::map<std::string, std::uint64_t> running_, dropped_;
  std::uint64_t actors_ = 0;
  std::size_t seen_ = 0;
  std::string end_;
  int code_ = done;
};

} // namespace

int actors_trace(const actor_trace_options& options) {
  const auto found = find_running(options.where.view.cluster);
  if (!found.state)
    return found.code;
  const auto nodes = nodes_meant(*found.state, options.where.node);
  if (!nodes)
    return no_match;
  watch_signals();
  cluster_trace trace{*found.state, options};
  if (const auto code = trace.start(*nodes))
    return *code;
  trace.say_what_runs();
  const bool as_json = options.where.view.format == output::json;
  trace_rows rows;
  std::vector<json> all;
  const auto look = [&] {
    auto messages = trace.look();
    if (as_json)
      std::move(messages.begin(), messages.end(), std::back_inserter(all));
    else
      std::cout << rows.add(messages) << std::flush;
  };
  while (trace.runs() && !was_interrupted() && std::cout) {
    std::this_thread::sleep_for(read_interval);
    look();
  }
  if (was_interrupted() && trace.runs())
    look();
  trace.stop();
  if (as_json) {
    std::stable_sort(all.begin(), all.end(), cluster_trace::earlier);
    std::cout << dump({{"messages", all},
                       {"dropped", trace.dropped()},
                       {"limit_reached", trace.end().empty() ? json{} : json(trace.end())}},
                      false);
  }
  if (!trace.end().empty())
    std::cerr << "limit reached: "
              << (trace.end() == "count"
                      ? std::to_string(options.count) + " messages"
                      : cell(json(options.seconds)) + " s, with " + std::to_string(trace.seen()) + " messages")
              << "\n";
  if (trace.dropped() > 0)
    std::cerr << trace.dropped() << " messages came faster than they could be shown and were dropped\n";
  return was_interrupted() ? static_cast<int>(interrupted) : trace.code();
}

} // namespace glocal::cli
