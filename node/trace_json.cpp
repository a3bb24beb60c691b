#include "node/trace_json.hpp"

#include "dataplane/classify/rule_text.hpp"

#include <nlohmann/json.hpp>

#include <cstdio>

namespace glocal::node {

using nlohmann::json;

namespace {

json value_of(const decltype(actors::trace_field::value)& value) {
  return std::visit([](const auto& each) { return json(each); }, value);
}

json choice_json(const actors::trace_choice& choice) {
  json candidates = json::array();
  for (const auto& each : choice.candidates)
    candidates.push_back({{"instance", each.instance},
                          {"node", each.node},
                          {"flows", each.flows},
                          {"own_choices", each.own_choices},
                          {"rate_pps", each.rate_pps},
                          {"drawn", each.drawn},
                          {"chosen", each.chosen},
                          {"utilisation", each.utilisation},
                          {"delay_us", each.delay_us},
                          {"cost", each.cost}});
  return {{"class", choice.vnf_class},
          {"version", choice.version},
          {"age_s", choice.age_s},
          {"suspect", choice.is_suspect},
          {"candidates", candidates}};
}

} // namespace

std::string config_line_of(const actors::trace_entry& step, const cluster_config& config) {
  if (step.what != "rule")
    return {};
  const auto name = step.text("service"), index_text = step.text("rule"), match = step.text("match");
  if (name.empty() || index_text.empty())
    return {};
  const std::size_t index = std::stoul(index_text);
  for (std::size_t i = 0; i < config.services.size() && i < config.match_lines.size(); ++i) {
    const auto& service = config.services[i];
    if (service.name != name || index >= service.matches.size() || index >= config.match_lines[i].size())
      continue;
    const auto& here = service.matches[index];
    if (dataplane::to_string(step.text("action") == "reply" ? here.mirrored() : here) == match)
      return config.file + ":" + std::to_string(config.match_lines[i][index]);
  }
  return {};
}

json step_json(const actors::trace_entry& step, const cluster_config& config) {
  json fields = json::object();
  for (const auto& field : step.fields)
    fields[field.name] = value_of(field.value);
  char id[13];
  std::snprintf(id, sizeof id, "%012llx", static_cast<unsigned long long>(step.trace & dataplane::max_trace_id));
  json out{{"trace", id},     {"at_ns", step.at_ns}, {"node", step.node},
           {"who", step.who}, {"what", step.what},   {"fields", fields}};
  if (const auto line = config_line_of(step, config); !line.empty())
    out["config"] = line;
  if (!step.choices.empty()) {
    out["choices"] = json::array();
    for (const auto& choice : step.choices)
      out["choices"].push_back(choice_json(choice));
  }
  return out;
}

} // namespace glocal::node
