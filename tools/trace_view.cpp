#include "tools/trace_view.hpp"

#include "tools/glocal_cells.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>
#include <vector>

namespace glocal::cli {

using nlohmann::json;

namespace {

std::string text(const json& step, const char* field) {
  const auto& value = at(step, {"fields", field});
  return value.is_null() ? std::string{} : cell(value);
}

bool is_true(const json& step, const char* field) {
  const auto& value = at(step, {"fields", field});
  return value.is_boolean() && value.get<bool>();
}

std::int64_t time_of(const json& step) {
  const auto& value = at(step, {"t_ns"});
  return value.is_number() ? value.get<std::int64_t>() : 0;
}

std::string what_of(const json& step) {
  return cell(at(step, {"what"}));
}

std::string microseconds(double us) {
  char out[32];
  if (us >= 10'000)
    std::snprintf(out, sizeof out, "%.1f ms", us / 1e3);
  else if (us >= 1'000)
    std::snprintf(out, sizeof out, "%.2f ms", us / 1e3);
  else
    std::snprintf(out, sizeof out, "%.1f us", us);
  return out;
}

std::string microseconds_of(const json& step, const char* field) {
  const auto& value = at(step, {"fields", field});
  return value.is_number() ? microseconds(value.get<double>()) : "?";
}

std::string seconds(const json& value) {
  if (!value.is_number())
    return "?";
  char out[32];
  std::snprintf(out, sizeof out, value.get<double>() < 10 ? "%.2f s" : "%.0f s", value.get<double>());
  return out;
}

/// A list of what is there.
class words {
public:
  words& add(const std::string& word) {
    if (!word.empty())
      out_ += (out_.empty() ? "" : ", ") + word;
    return *this;
  }
  words& add(const char* before, const std::string& value) { return value.empty() ? *this : add(before + value); }
  [[nodiscard]] const std::string& done() const { return out_; }

private:
  std::string out_;
};

std::string rule_words(const json& step) {
  const auto service = text(step, "service");
  const auto line = at(step, {"config"}).is_string() ? cell(at(step, {"config"})) : std::string{};
  words out;
  out.add(service.empty() ? "of a service that is gone (cookie " + text(step, "cookie") + ")"
                          : service + (text(step, "rule").empty() ? "" : " #" + text(step, "rule")));
  out.add(line).add(text(step, "match")).add("priority ", text(step, "priority"));
  const auto action = text(step, "action");
  return out.done() + ": " + (action == "reply" ? "reply, to be looked up" : action);
}

std::string put_words(const json& step) {
  const auto result = text(step, "result");
  words out;
  if (result == "won")
    out.add("won").add("path ", text(step, "path"));
  else if (result == "lost")
    out.add("lost to " + text(step, "decided_by") + ", whose path is adopted: " + text(step, "path"));
  else
    out.add("failed: " + result);
  return out.add("version ", text(step, "version")).add("round trip ", microseconds_of(step, "round_trip_us")).done();
}

std::string store_words(const json& step) {
  if (!text(step, "error").empty())
    return "the store does not answer: " + text(step, "error");
  if (!is_true(step, "in_store"))
    return step.contains("what") && what_of(step) == "store" ? "the flow is not in the store: put-if-absent would win"
                                                             : "the flow is not in the store";
  return words{}
      .add("the flow is in the store")
      .add("path ", text(step, "path"))
      .add("decided by ", text(step, "decided_by"))
      .add("version ", text(step, "version"))
      .done();
}

std::string target(const json& step) {
  if (const auto port = text(step, "to_port"); !port.empty())
    return "to port " + port;
  if (const auto rloc = text(step, "to_rloc"); !rloc.empty())
    return "to RLOC " + rloc;
  return {};
}

std::string packet_words(const json& step) {
  return words{}
      .add("ttl ", text(step, "ttl"))
      .add("vlan ", text(step, "vlan"))
      .add("dscp ", text(step, "dscp"))
      .done();
}

const json* first_with_packet(const json& steps) {
  for (const auto& step : list(steps))
    if (!text(step, "packet").empty())
      return &step;
  return nullptr;
}

/// "tcp 10.1.0.7:51514 > 203.0.113.9:80, syn, 60 B"
std::string headline(const json& steps) {
  const auto* step = first_with_packet(steps);
  if (step == nullptr)
    return "a packet that could not be read";
  return words{}
      .add(text(*step, "packet"))
      .add(text(*step, "tcp_flags"))
      .add(text(*step, "ip_bytes") + " B")
      .add("tenant ", text(*step, "tenant") == "0" ? "" : text(*step, "tenant"))
      .done();
}

/// What the last step of the switch says of the packet's end.
json outcome_of(const std::vector<json>& steps) {
  const json* last = nullptr;
  const json* before = nullptr; // what led to `sent`
  for (const auto& step : steps) {
    const auto what = what_of(step);
    if (what == "verdict")
      return {{"result", text(step, "result")}, {"node", cell(at(step, {"node"}))}, {"reason", text(step, "reason")}};
    if (at(step, {"who"}) != "lcore")
      continue;
    if (what == "path_step" || what == "eid_route" || what == "encapsulated")
      before = &step;
    last = &step;
  }
  if (last == nullptr)
    return {{"result", "unknown"}, {"node", ""}, {"reason", ""}};
  const auto what = what_of(*last);
  const auto made = [&](const char* result, const std::string& reason) {
    return json{{"result", result}, {"node", cell(at(*last, {"node"}))}, {"reason", reason}};
  };
  if (what == "dropped")
    return made("dropped", text(*last, "reason"));
  if (what == "answered")
    return made("answered", "by the edge itself");
  if (what == "held" || what == "packet_in")
    return made("held", "not answered yet");
  if (what == "waiting")
    return made("waiting", "for the MAC address of " + text(*last, "neighbour"));
  if (what != "sent" || before == nullptr)
    return made("unknown", "last seen: " + what);
  const auto led = what_of(*before);
  if (led == "encapsulated")
    return made("left",
                "for RLOC " + text(*before, "to_rloc") +
                    (text(*before, "trace_id") == "carried" ? ", and was not seen there"
                                                            : ", without its id: " + text(*before, "trace_id")));
  if (led == "path_step")
    return made("in function", "by " + text(*last, "port") + ", and was not seen since");
  return made("delivered", "by " + text(*last, "port"));
}

std::string outcome_words(const json& outcome) {
  const auto result = cell(at(outcome, {"result"})), node = cell(at(outcome, {"node"})),
             reason = cell(at(outcome, {"reason"}));
  if (result == "dropped")
    return "dropped at " + node + ": " + reason;
  if (result == "left")
    return "left " + node + " " + reason;
  if (result == "in function")
    return "went into a function at " + node + " " + reason;
  return result + " at " + node + (reason.empty() || reason == "-" ? "" : " " + reason);
}

/// What a policy weighs beside the load; not said where it does not matter.
std::string priced(const json& candidate) {
  std::string out;
  if (const auto& delay = at(candidate, {"delay_us"}); delay.is_number() && delay.get<double>() > 0)
    out += ", " + cell(delay) + " us away";
  if (const auto& cost = at(candidate, {"cost"}); cost.is_number() && cost.get<double>() > 0)
    out += ", cost " + cell(cost);
  return out;
}

void add_choices(std::string& out, const std::string& indent, const json& step) {
  for (const auto& choice : list(at(step, {"choices"}))) {
    const bool is_suspect = at(choice, {"suspect"}) == json(true);
    out += indent + cell(at(choice, {"class"})) + ": digest version " + cell(at(choice, {"version"})) + ", " +
           seconds(at(choice, {"age_s"})) + " old" + (is_suspect ? ", and its watch is silent: it may be stale" : "") +
           "\n";
    for (const auto& each : list(at(choice, {"candidates"}))) {
      const auto mark = at(each, {"chosen"}) == json(true) ? "→ " : at(each, {"drawn"}) == json(true) ? "· " : "  ";
      out += indent + "  " + mark + cell(at(each, {"instance"})) + " at " + cell(at(each, {"node"})) + ": " +
             cell(at(each, {"flows"})) + " flows + " + cell(at(each, {"own_choices"})) + " chosen since, " +
             cell(at(each, {"rate_pps"})) + " packets/s" + priced(each) +
             (at(each, {"chosen"}) == json(true)  ? " (chosen)"
              : at(each, {"drawn"}) == json(true) ? " (drawn)"
                                                  : "") +
             "\n";
    }
  }
}

constexpr std::size_t what_width = 14;

std::string padded(std::string what, std::size_t width) {
  what.resize(std::max(width, what.size()), ' ');
  return what;
}

/// Runs of steps at one node. @param stamp the time before a step.
template <class Stamp>
std::string tree(const std::vector<json>& steps, std::size_t stamp_width, const Stamp& stamp) {
  std::string out;
  for (std::size_t i = 0; i < steps.size();) {
    const auto node = cell(at(steps[i], {"node"}));
    auto end = i;
    while (end < steps.size() && cell(at(steps[end], {"node"})) == node)
      ++end;
    const bool is_last = end == steps.size();
    out += (is_last ? "└─ " : "├─ ") + node + "\n";
    const std::string bar = is_last ? "   " : "│  ";
    for (; i < end; ++i) {
      const auto who = cell(at(steps[i], {"who"}));
      out += bar + stamp(steps[i]) + padded(what_of(steps[i]), what_width) + "  " + step_words(steps[i]) +
             (who == "lcore" || who == "-" ? "" : "  [" + who + "]") + "\n";
      add_choices(out, bar + std::string(stamp_width + what_width + 2, ' '), steps[i]);
    }
  }
  return out;
}

} // namespace

std::string step_words(const json& step) {
  const auto what = what_of(step);
  if (what == "received")
    return words{}.add("by ", text(step, "port")).add(packet_words(step)).done();
  if (what == "decapsulated")
    return words{}
        .add("from RLOC ", text(step, "from_rloc"))
        .add("path ", text(step, "path"))
        .add("SPI/SI ", text(step, "spi").empty() ? "" : text(step, "spi") + "/" + text(step, "si"))
        .add(packet_words(step))
        .done();
  if (what == "returned")
    return words{}
        .add("out of a function by ", text(step, "port"))
        .add(packet_words(step))
        .add(is_true(step, "guessed") ? "taken for the packet of this flow that went in first" : "")
        .done();
  if (what == "hit")
    return words{}
        .add(text(step, "entry"))
        .add("path ", text(step, "path"))
        .add("step ", text(step, "position"))
        .add(text(step, "direction"))
        .done();
  if (what == "miss")
    return "no exact-match entry";
  if (what == "rule")
    return rule_words(step);
  if (what == "no_rule")
    return "no service's rule matches";
  if (what == "installed")
    return "exact-match entries, " + text(step, "entry");
  if (what == "packet_in")
    return "held, the agent is asked: " + text(step, "reason");
  if (what == "held")
    return "behind the first packet of its flow or path";
  if (what == "released" || what == "passed")
    return (what == "passed" ? "to go by its destination, after " : "after ") + microseconds_of(step, "held_us");
  if (what == "path_step") {
    const auto position = text(step, "position"), hops = text(step, "hops");
    return words{}
        .add("path ", text(step, "path"))
        .add(position == hops ? "behind its last hop" : "hop " + position + " of " + hops)
        .add(text(step, "direction"))
        .add(target(step))
        .done();
  }
  if (what == "hop")
    return words{}
        .add("hop ", text(step, "position"))
        .add(text(step, "instance") + " (" + text(step, "class") + ")")
        .add("path ", text(step, "path"))
        .add("RLOC ", text(step, "rloc"))
        .done();
  if (what == "eid_route") {
    const auto to = target(step), node = text(step, "to_node");
    return words{}
        .add("EID ", text(step, "eid"))
        .add("at ", node)
        .add(to.empty() && node.empty() ? "no mapping has the destination" : to)
        .done();
  }
  if (what == "encapsulated") {
    const bool has_path = !text(step, "spi").empty();
    const auto id = text(step, "trace_id");
    return words{}
        .add("to RLOC ", text(step, "to_rloc"))
        .add(has_path ? "SPI/SI " + text(step, "spi") + "/" + text(step, "si") : "plain LISP")
        .add(text(step, "outer_bytes") + " B")
        .add(id == "carried" || id.empty() ? "" : "without its id: " + id)
        .done();
  }
  if (what == "waiting")
    return "for the MAC address of " + text(step, "neighbour") + ", to leave by " + text(step, "port");
  if (what == "sent")
    return "by " + text(step, "port");
  if (what == "answered")
    return "by the edge itself";
  if (what == "dropped")
    return words{}.add(text(step, "reason")).add("came by ", text(step, "in_port")).done();
  if (what == "handed_over")
    return "to " + text(step, "to");
  if (what == "remembered")
    return words{}.add("decided before").add("path ", text(step, "path")).add("version ", text(step, "version")).done();
  if (what == "decided")
    return "chain " + text(step, "chain") + ", by " + text(step, "policy") +
           (text(step, "because").empty() ? "" : ": " + text(step, "because"));
  if (what == "no_candidate")
    return "class " + text(step, "class") + " has no healthy instance";
  if (what == "path_published")
    return "path " + text(step, "path");
  if (what == "provisional")
    return "without the store, to be published later, path " + text(step, "path");
  if (what == "path")
    return text(step, "path") + (is_true(step, "to_be_made") ? ", to be made" : ", known");
  if (what == "put_if_absent")
    return put_words(step);
  if (what == "store" || what == "looked_up")
    return store_words(step);
  if (what == "refused")
    return text(step, "reason") + ": " + text(step, "answer");
  if (what == "path_resolved")
    return words{}.add("path ", text(step, "path")).add(text(step, "instances")).done();
  if (what == "programmed")
    return text(step, "answer").empty() ? words{}.add("path ", text(step, "path")).add(text(step, "instances")).done()
                                        : words{}.add(text(step, "answer")).add(text(step, "reason")).done();
  if (what == "verdict")
    return words{}.add(text(step, "result")).add(text(step, "reason")).done();
  // A step of a later version: its fields as they are.
  words out;
  if (const auto& fields = at(step, {"fields"}); fields.is_object())
    for (const auto& [key, value] : fields.items())
      out.add(key + " " + cell(value));
  return out.done();
}

json traced_packets(const json& steps) {
  std::map<std::string, std::vector<json>> by_trace;
  for (const auto& step : list(steps))
    if (step.is_object())
      by_trace[cell(at(step, {"trace"}))].push_back(step);
  std::vector<json> packets;
  for (auto& [trace, of] : by_trace) {
    // Steps of one node come in their order, which its clock may be too coarse for.
    std::stable_sort(of.begin(), of.end(), [](const json& a, const json& b) { return time_of(a) < time_of(b); });
    auto nodes = json::array();
    for (const auto& step : of)
      if (const auto& node = at(step, {"node"}); nodes.empty() || nodes.back() != node)
        if (std::find(nodes.begin(), nodes.end(), node) == nodes.end())
          nodes.push_back(node);
    const json all(of);
    const auto* described = first_with_packet(all);
    packets.push_back({{"trace", trace},
                       {"packet", described == nullptr ? json{} : at(*described, {"fields", "packet"})},
                       {"tcp_flags", described == nullptr ? json{} : at(*described, {"fields", "tcp_flags"})},
                       {"nodes", nodes},
                       {"outcome", outcome_of(of)},
                       {"took_us", static_cast<double>(time_of(of.back()) - time_of(of.front())) / 1e3},
                       {"steps", all}});
  }
  std::stable_sort(packets.begin(), packets.end(), [](const json& a, const json& b) {
    return time_of(a["steps"].front()) < time_of(b["steps"].front());
  });
  return json(packets);
}

std::string packet_tree(const json& packet) {
  const auto& steps = list(at(packet, {"steps"}));
  const std::vector<json> of(steps.begin(), steps.end());
  if (of.empty())
    return {};
  std::string route;
  for (const auto& node : list(at(packet, {"nodes"})))
    route += (route.empty() ? "" : " → ") + cell(node);
  const auto& took = at(packet, {"took_us"});
  auto out = "packet " + cell(at(packet, {"trace"})) + ": " + headline(steps) + "\n" + route + ": " +
             outcome_words(at(packet, {"outcome"})) + ", " + microseconds(took.is_number() ? took.get<double>() : 0) +
             "\n";
  const auto begin = time_of(of.front());
  return out + tree(of, 14, [&](const json& step) {
           char stamp[32];
           std::snprintf(stamp, sizeof stamp, "%9.3f ms  ", static_cast<double>(time_of(step) - begin) / 1e6);
           return std::string{stamp};
         });
}

std::string simulated_tree(const json& steps) {
  const std::vector<json> of(list(steps).begin(), list(steps).end());
  return headline(steps) + "\n" + outcome_words(outcome_of(of)) + "\n" +
         tree(of, 0, [](const json&) { return std::string{}; });
}

} // namespace glocal::cli
