#include "tools/glocal_cells.hpp"

#include <cstdio>

namespace glocal::cli {

using nlohmann::json;

const json& at(const json& from, std::initializer_list<const char*> keys) {
  static const json nothing;
  const auto* here = &from;
  for (const auto* key : keys) {
    const auto found = here->is_object() ? here->find(key) : here->end();
    if (!here->is_object() || found == here->end())
      return nothing;
    here = &*found;
  }
  return *here;
}

std::string cell(const json& value) {
  if (value.is_null())
    return "-";
  if (value.is_string())
    return value.get<std::string>();
  if (value.is_boolean())
    return value.get<bool>() ? "yes" : "no";
  if (value.is_number_float()) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", value.get<double>());
    return text;
  }
  if (value.is_array()) {
    std::string out;
    for (const auto& one : value)
      out += (out.empty() ? "" : ",") + cell(one);
    return out.empty() ? "-" : out;
  }
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

const json& list(const json& value) {
  static const json empty = json::array();
  return value.is_array() ? value : empty;
}

std::string dump(const json& value, bool one_line) {
  return value.dump(one_line ? -1 : 2, ' ', false, json::error_handler_t::replace) + "\n";
}

} // namespace glocal::cli
