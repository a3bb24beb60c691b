#include "tools/replay_view.hpp"

#include "node/trace_json.hpp"

#include <cstdio>

namespace glocal::cli {

using actors::trace_entry;
using nlohmann::json;

namespace {

json text_or_null(const std::string& text) {
  return text.empty() ? json{} : json(text);
}

void see_match(replayed_view& out, const trace_entry& step, const node::cluster_config& config) {
  if (!out.stage.empty())
    return;
  if (step.what == "hit") {
    out.stage = "exact match";
    out.entry = step.text("entry");
  } else if (step.what == "rule") {
    out.stage = "classifier";
    out.rule = step.text("service");
    if (const auto index = step.text("rule"); !index.empty())
      out.rule += " #" + index;
    out.config = node::config_line_of(step, config);
    out.match = step.text("match");
    out.action = step.text("action");
  } else if (step.what == "no_rule")
    out.stage = "classifier";
  else if (step.what == "answered")
    out.stage = "edge itself";
  else if (step.what == "packet_in" || step.what == "path_step")
    out.stage = "path table";
}

/// The last of these steps says how it ended.
void see_end(replayed_view& out, const trace_entry& step) {
  const auto end = [&](const char* result, std::string to, std::string reason) {
    out.result = result;
    out.to = std::move(to);
    out.reason = std::move(reason);
  };
  if (step.what == "dropped")
    end("dropped", {}, step.text("reason"));
  else if (step.what == "answered")
    end("answered", {}, {});
  else if (step.what == "packet_in" || step.what == "held")
    end("held", {}, "the agent has not answered");
  else if (step.what == "waiting")
    end("held", std::move(out.to), "waits for the next hop " + step.text("neighbour"));
  else if (step.what == "encapsulated")
    end("forwarded", "RLOC " + step.text("to_rloc"), {});
  else if (step.what == "sent") {
    const bool is_underlay = out.to.starts_with("RLOC");
    end("forwarded", is_underlay ? std::move(out.to) : "port " + step.text("port"), {});
  } else if (step.what == "returned")
    end("unknown", {}, "was not seen after a function gave it back");
}

std::string counts_text(const std::map<std::string, std::uint64_t>& counts) {
  std::string out;
  for (const auto& [name, count] : counts)
    out += (out.empty() ? "" : "; ") + name + ": " + std::to_string(count);
  return out.empty() ? "none" : out;
}

} // namespace

replayed_view view_of(const node::replayed_packet& packet, const node::cluster_config& config) {
  replayed_view out;
  out.key = packet.key;
  if (packet.steps.empty()) {
    out.result = packet.dropped.empty() ? "unknown" : "dropped";
    out.reason = packet.dropped;
    return out;
  }
  bool in_function = false;
  for (const auto& step : packet.steps) {
    see_match(out, step, config);
    see_end(out, step);
    if (step.what == "decapsulated" && !step.text("packet").empty())
      out.key = step.text("packet");
    else if (step.what == "decided")
      out.chain = step.text("chain");
    // A step to a port is one into a function, and only what comes back goes on.
    else if (step.what == "path_step")
      in_function = !step.text("to_port").empty();
    else if (step.what == "returned")
      in_function = false;
  }
  if (in_function && out.result == "forwarded") {
    out.result = "kept";
    out.reason = "by a function";
  }
  return out;
}

json replayed_json(const node::replayed_packet& packet, const replayed_view& view, const node::cluster_config& config) {
  json out{{"number", packet.number},
           {"time_s", static_cast<double>(packet.time.count()) / 1e9},
           {"captured_bytes", packet.captured_bytes},
           {"wire_bytes", packet.wire_bytes},
           {"key", text_or_null(view.key)},
           {"port", text_or_null(packet.port)}};
  if (packet.port.empty()) {
    out["elsewhere"] = packet.elsewhere;
    return out;
  }
  out["stage"] = text_or_null(view.stage);
  out["entry"] = text_or_null(view.entry);
  out["rule"] = nullptr;
  if (!view.rule.empty() || !view.action.empty())
    out["rule"] = {{"name", view.rule},
                   {"config", text_or_null(view.config)},
                   {"match", text_or_null(view.match)},
                   {"action", view.action}};
  out["chain"] = text_or_null(view.chain);
  out["verdict"] = {{"result", view.result}, {"to", text_or_null(view.to)}, {"reason", text_or_null(view.reason)}};
  auto& steps = out["steps"] = json::array();
  for (const auto& step : packet.steps) {
    steps.push_back(node::step_json(step, config));
    steps.back()["t_ns"] = step.at_ns;
  }
  return out;
}

std::string replayed_line(const node::replayed_packet& packet, const replayed_view& view) {
  char begin[64];
  std::snprintf(begin, sizeof begin, "%6llu %12.6f  ", static_cast<unsigned long long>(packet.number),
                static_cast<double>(packet.time.count()) / 1e9);
  auto out = begin + (view.key.empty() ? std::string{"a packet that can't be read"} : view.key);
  if (packet.port.empty())
    return out + "  not here: " + packet.elsewhere + "\n";
  out += "  in " + packet.port;
  if (!view.stage.empty())
    out += "  " + view.stage;
  if (!view.rule.empty())
    out += ": " + view.rule + (view.config.empty() ? "" : " (" + view.config + ")") + ", " + view.action;
  else if (view.stage == "classifier")
    out += ": no rule";
  else if (!view.entry.empty())
    out += ", " + view.entry;
  if (!view.chain.empty())
    out += "  chain " + view.chain;
  out += "  → " + view.result;
  if (!view.to.empty())
    out += " to " + view.to;
  if (!view.reason.empty())
    out += ": " + view.reason;
  return out + "\n";
}

void replay_summary::add(const node::replayed_packet& packet, const replayed_view& view) {
  ++packets_;
  if (packet.port.empty()) {
    ++elsewhere_;
    return;
  }
  ++results_[view.result];
  if (view.result == "dropped")
    ++drops_[view.reason];
  if (!view.stage.empty())
    ++stages_[view.stage];
  if (!view.rule.empty())
    ++rules_[view.rule];
  if (!view.chain.empty())
    ++chains_[view.chain];
}

json replay_summary::to_json() const {
  return {{"packets", packets_}, {"arrived", arrived()},    {"elsewhere", elsewhere_}, {"results", results_},
          {"drops", drops_},     {"stages", stages_},       {"rules", rules_},         {"chains", chains_},
          {"frames_out", left_}, {"bytes_out", left_bytes_}};
}

std::string replay_summary::text() const {
  return std::to_string(packets_) + " packets, " + std::to_string(arrived()) + " of them at this edge, " +
         std::to_string(left_) + " frames sent\n" + "verdicts    " + counts_text(results_) + "\n" + "drops       " +
         counts_text(drops_) + "\n" + "matched by  " + counts_text(stages_) + "\n" + "rules       " +
         counts_text(rules_) + "\n" + "chains      " + counts_text(chains_) + "\n";
}

} // namespace glocal::cli
