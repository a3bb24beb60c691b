// trace: what happens to packets of a running cluster, and what would happen to one.

#include "node/config_report.hpp"
#include "tools/glocal_answers.hpp"
#include "tools/glocal_clusters.hpp"
#include "tools/trace_text.hpp"
#include "tools/trace_view.hpp"

#include "dataplane/classify/rule_text.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <map>
#include <set>
#include <thread>

namespace glocal::cli {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

/// Between two looks at the nodes. A packet without a new step over two of them is taken to be at its end.
constexpr auto poll_interval = 200ms;
constexpr auto settle_time = 450ms;
/// A switch that ends a trace by time needs no more.
constexpr auto end_patience = 3s;

void complain_about(const text_error& wrong, const std::string& text, const char* what) {
  complain(std::string{"the "} + what + " can't be read:\n" + shown(wrong, text));
}

/// Cluster files by the shorter of two names: from here, or absolute.
void shorten_config(json& step) {
  if (const auto& config = at(step, {"config"}); config.is_string()) {
    const auto absolute = config.get<std::string>();
    const auto near = std::filesystem::path{absolute}.lexically_proximate(std::filesystem::current_path()).string();
    step["config"] = near.size() < absolute.size() ? near : absolute;
  }
}

/// The first refusal among the answers, told; whether there was one. A node that is no edge is none.
bool refused(const std::vector<answer>& answers) {
  for (const auto& one : answers)
    if (one.reachable && !one.error.empty()) {
      complain("node " + one.node + ": " + one.error);
      return true;
    }
  return false;
}

bool is_edge(const answer& one) {
  return one.reachable && at(one.body, {"edge"}) == json(true);
}

/// A trace under way on the edges of one cluster.
class live_trace {
public:
  live_trace(const trace_options& options, const node::cluster_state& state) : options_{options}, state_{state} {}

  /// Everywhere a cursor, at `nodes` a session. Anything but `done`: it could not be started, and nothing runs.
  int start(const std::vector<std::string>& nodes, const filter_text& filter) {
    const auto cursors = ask_nodes(state_, state_.nodes, "/api/v1/trace/read", json{{"most", 0}}.dump());
    code_ = code_of(cursors);
    for (const auto& one : cursors)
      if (is_edge(one)) {
        cursors_[one.node] = number(at(one.body, {"next"}));
        lost_before_[one.node] = number(at(one.body, {"records_lost"}));
        refused_before_[one.node] = number(at(one.body, {"ids_refused"}));
      }
    if (cursors_.empty()) {
      complain(code_ == done ? "cluster '" + state_.cluster + "' has no edge" : "no edge answered");
      return code_ == done ? static_cast<int>(no_match) : unreachable;
    }
    json body{{"match", dataplane::to_string(filter.match)},
              {"both_directions", filter.both_directions},
              {"port", filter.port},
              {"count", options_.count},
              {"seconds", static_cast<std::uint64_t>(options_.seconds)},
              {"drops", options_.drops},
              {"replace", options_.replace},
              // Traced by itself an edge meets packets that come from others; else each is met at its first.
              {"anywhere", !options_.at.empty()}};
    if (filter.tenant)
      body["tenant"] = *filter.tenant;
    // A port is one edge's: where there is none of that name nothing is traced.
    std::string last_refusal;
    const auto answers = ask_nodes(state_, nodes, "/api/v1/trace/start", body.dump());
    for (const auto& one : answers) {
      if (is_edge(one))
        sessions_[one.node] = number(at(one.body, {"session"}));
      else if (one.reachable && !one.error.empty())
        last_refusal = "node " + one.node + ": " + one.error;
    }
    const bool may_lack_port = !filter.port.empty() && last_refusal.find("no port") != std::string::npos;
    if (!last_refusal.empty() && !(may_lack_port && !sessions_.empty())) {
      complain(last_refusal);
      stop();
      return may_lack_port ? no_match : failed;
    }
    if (sessions_.empty()) {
      complain("none of the nodes meant is an edge that answers");
      return code_ == done ? static_cast<int>(no_match) : unreachable;
    }
    return done;
  }

  /// Reads until the limit, the time, or a signal; prints packets as they end.
  void run() {
    const auto begin = std::chrono::steady_clock::now();
    const auto end = begin + std::chrono::duration<double>{options_.seconds};
    while (!was_interrupted()) {
      read();
      if (settle(false) >= options_.count) {
        ended_because_ = "limit reached";
        break;
      }
      if (running_ == 0 && met() == 0)
        break;
      const auto now = std::chrono::steady_clock::now();
      // Every session has ended and what was met has settled.
      if (running_ == 0 && printed_ == met())
        break;
      if (now >= end + end_patience)
        break;
      std::this_thread::sleep_for(poll_interval);
    }
    stop();
    if (was_interrupted())
      ended_because_ = "interrupted";
    read();
    settle(true);
  }

  [[nodiscard]] int report() {
    if (options_.format == output::json)
      std::cout << dump({{"packets", packets_},
                         {"ended_because", ended_because_},
                         {"steps_missed", missed_ + total(lost_)},
                         {"ids_refused", total(refused_)},
                         {"wall_clocks", boots_.size() > 1}},
                        false);
    std::cout.flush();
    if (!ended_because_.empty())
      std::cerr << ended_because_ << ": " << packets_.size() << (options_.drops ? " dropped" : "") << " packet"
                << (packets_.size() == 1 ? "" : "s") << "\n";
    if (missed_ > 0)
      complain(std::to_string(missed_) + " steps gave way before they could be read; trace fewer packets at once");
    if (const auto lost = total(lost_); lost > 0)
      complain(std::to_string(lost) + " steps found no room in an edge's ring; trace fewer packets at once");
    if (const auto refused = total(refused_); refused > 0)
      complain(std::to_string(refused) +
               " times an edge did not follow a packet that brought its id: too many a second");
    if (boots_.size() > 1)
      complain("the nodes run on several machines: times are by their wall clocks, which may disagree");
    if (was_interrupted())
      return interrupted;
    if (code_ != done)
      return code_;
    return packets_.empty() ? no_match : done;
  }

private:
  using clock = std::chrono::steady_clock;

  static std::uint64_t number(const json& value) { return value.is_number_unsigned() ? value.get<std::uint64_t>() : 0; }

  /// Ids begin with their session's prefix: packets of other people's traces are not shown.
  [[nodiscard]] bool is_ours(const json& step) const {
    const auto id = std::strtoull(cell(at(step, {"trace"})).c_str(), nullptr, 16) >> 24;
    return std::any_of(sessions_.begin(), sessions_.end(),
                       [&](const auto& session) { return (session.second & 0xff'ffff) == id; });
  }

  static std::uint64_t total(const std::map<std::string, std::uint64_t>& of) {
    std::uint64_t sum = 0;
    for (const auto& [node, count] : of)
      sum += count;
    return sum;
  }

  void read() {
    running_ = 0;
    std::vector<std::string> nodes;
    for (const auto& [node, cursor] : cursors_)
      nodes.push_back(node);
    // Each node has a cursor of its own.
    for (const auto& node : nodes) {
      const auto session = sessions_.find(node);
      json body{{"after", cursors_[node]}};
      if (session != sessions_.end())
        body["session"] = session->second;
      const auto answers = ask_nodes(state_, {node}, "/api/v1/trace/read", body.dump());
      const auto& one = answers.front();
      if (!is_edge(one)) {
        if (code_ == done && !was_interrupted())
          complain("node " + node + " does not answer any more: " + one.error);
        code_ = partial;
        cursors_.erase(node);
        continue;
      }
      take(one.body, node);
      if (session == sessions_.end())
        continue;
      if (number(at(one.body, {"session", "id"})) != session->second) {
        if (ended_because_.empty())
          ended_because_ = "another trace took its place";
      } else {
        if (at(one.body, {"session", "running"}) == json(true))
          ++running_;
        else if (ended_because_.empty())
          ended_because_ = cell(at(one.body, {"session", "ended_because"}));
      }
    }
  }

  void take(const json& page, const std::string& node) {
    missed_ += number(at(page, {"missed"}));
    cursors_[node] = number(at(page, {"next"}));
    boots_.insert(cell(at(page, {"clock", "boot"})));
    // Since the trace began; what an edge counted before a restart does not count.
    const auto since = [&](const char* counter, const std::map<std::string, std::uint64_t>& before) {
      const auto now = number(at(page, {counter})), then = before.contains(node) ? before.at(node) : 0;
      return now > then ? now - then : 0;
    };
    lost_[node] = since("records_lost", lost_before_);
    refused_[node] = since("ids_refused", refused_before_);
    const auto to_wall = static_cast<std::int64_t>(number(at(page, {"clock", "unix_ns"}))) -
                         static_cast<std::int64_t>(number(at(page, {"clock", "monotonic_ns"})));
    for (auto step : list(at(page, {"steps"}))) {
      if (!step.is_object() || !is_ours(step))
        continue;
      const auto trace = cell(at(step, {"trace"}));
      step["mono_ns"] = at(step, {"at_ns"});
      step["to_wall_ns"] = to_wall;
      shorten_config(step);
      seen_[trace].last = clock::now();
      seen_[trace].steps.push_back(std::move(step));
    }
  }

  [[nodiscard]] std::size_t met() const {
    return static_cast<std::size_t>(
        std::count_if(seen_.begin(), seen_.end(), [&](const auto& each) { return counts(each.second.steps); }));
  }
  [[nodiscard]] bool counts(const std::vector<json>& steps) const {
    return !options_.drops ||
           std::any_of(steps.begin(), steps.end(), [](const json& step) { return at(step, {"what"}) == "dropped"; });
  }

  /// Prints packets that are at their end, the first met first. @return packets printed so far.
  std::size_t settle(bool all) {
    const auto now = clock::now();
    std::vector<json> ready;
    for (auto& [trace, packet] : seen_) {
      if (packet.is_printed || !counts(packet.steps) || (!all && now - packet.last < settle_time))
        continue;
      packet.is_printed = true;
      auto steps = packet.steps;
      for (auto& step : steps) {
        // One kernel, one monotonic clock; else the wall clock has to do.
        const auto offset = boots_.size() > 1 ? step["to_wall_ns"].get<std::int64_t>() : 0;
        step["t_ns"] = static_cast<std::int64_t>(number(step["mono_ns"])) + offset;
        step.erase("mono_ns");
        step.erase("to_wall_ns");
      }
      for (auto& one : traced_packets(steps))
        ready.push_back(std::move(one));
    }
    std::stable_sort(ready.begin(), ready.end(), [](const json& a, const json& b) {
      return a["steps"][0]["t_ns"].get<std::int64_t>() < b["steps"][0]["t_ns"].get<std::int64_t>();
    });
    for (auto& one : ready) {
      if (printed_ >= options_.count)
        break;
      ++printed_;
      if (options_.format == output::table)
        std::cout << (printed_ > 1 ? "\n" : "") << packet_tree(one) << std::flush;
      packets_.push_back(std::move(one));
    }
    return printed_;
  }

  void stop() {
    for (const auto& [node, session] : sessions_)
      (void)ask_nodes(state_, {node}, "/api/v1/trace/stop", json{{"session", session}}.dump());
  }

  struct packet {
    std::vector<json> steps;
    clock::time_point last;
    bool is_printed = false;
  };

  const trace_options& options_;
  const node::cluster_state& state_;
  int code_ = done;
  std::map<std::string, std::uint64_t> cursors_, sessions_;
  /// Counters of edges: before the trace, and since it began.
  std::map<std::string, std::uint64_t> lost_before_, refused_before_, lost_, refused_;
  std::map<std::string, packet> seen_;
  std::set<std::string> boots_;
  json packets_ = json::array();
  std::size_t running_ = 0, printed_ = 0;
  std::uint64_t missed_ = 0;
  std::string ended_because_;
};

} // namespace

int trace_live(const trace_options& options, const std::string& text) {
  const auto filter = parse_filter(text);
  if (!filter) {
    complain_about(filter.error(), text, "filter");
    return usage;
  }
  const auto found = find_running(options.cluster);
  if (!found.state)
    return found.code;
  const auto nodes = nodes_meant(*found.state, options.at);
  if (!nodes)
    return no_match;
  watch_signals();
  live_trace trace{options, *found.state};
  if (const auto code = trace.start(*nodes, *filter); code != done)
    return code;
  std::cerr << "tracing " << (options.drops ? "drops" : "packets") << ": at most " << options.count << ", for "
            << options.seconds << " s\n";
  trace.run();
  return trace.report();
}

int trace_simulate(const trace_options& options, const std::string& text) {
  const auto packet = parse_packet(text);
  if (!packet) {
    complain_about(packet.error(), text, "packet");
    return usage;
  }
  const auto found = find_running(options.cluster);
  if (!found.state)
    return found.code;
  if (options.at.empty()) {
    complain("say with --at at which edge the packet comes in");
    return usage;
  }
  const auto nodes = nodes_meant(*found.state, options.at);
  if (!nodes)
    return no_match;
  const json body{
      {"packet", to_string(packet->tuple)}, {"vlan", packet->vlan}, {"dscp", packet->dscp}, {"ttl", packet->ttl},
      {"tcp_flags", packet->tcp_flags},     {"port", options.port}};
  const auto answers = ask_nodes(*found.state, *nodes, "/api/v1/trace/simulate", body.dump());
  if (const auto code = code_of(answers); code != done)
    return code;
  if (refused(answers))
    return failed;
  if (!is_edge(answers[0])) {
    complain("node " + options.at + " is no edge");
    return no_match;
  }
  auto steps = at(answers[0].body, {"steps"});
  for (auto& step : steps)
    shorten_config(step);
  if (options.format == output::json)
    std::cout << dump({{"node", options.at}, {"packet", to_string(packet->tuple)}, {"steps", steps}}, false);
  else
    std::cout << simulated_tree(steps);
  return done;
}

} // namespace glocal::cli
