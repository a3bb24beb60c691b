#include "store/etcd/etcd_codec.hpp"

#include "base/base64.hpp"
#include "store/etcd/json_parts.hpp"

#include <algorithm>
#include <array>

namespace glocal::store::etcd {

using nlohmann::json;

namespace {

constexpr std::size_t max_members = 16;
constexpr std::size_t max_name_bytes = 255;

struct key_value {
  std::string key, text;
  std::uint64_t version = 0;
};

std::optional<key_value> read_key_value(const json& in) {
  auto key = bytes_of(in, "key"), text = bytes_of(in, "value");
  const auto version = number(in, "mod_revision");
  if (!key || !text || !version || *version == 0)
    return std::nullopt;
  return key_value{std::move(*key), std::move(*text), *version};
}

/// What a range of one key found: a version of 0 when nothing. Nothing when it is no answer to that.
std::optional<key_value> read_range(const json& in, std::string_view key) {
  const auto* found = member(in, "kvs");
  if (found == nullptr)
    return key_value{};
  if (!found->is_array() || found->size() != 1)
    return std::nullopt;
  auto row = read_key_value(found->front());
  if (!row || row->key != key)
    return std::nullopt;
  return row;
}

std::optional<register_value> value_of(const key_value& row) {
  if (row.version == 0)
    return register_value{};
  auto view = decode_view(row.text);
  if (!view)
    return std::nullopt;
  return register_value{row.version, std::move(*view)};
}

json to_json(const store::member& who) {
  return {{"node", who.node}, {"incarnation", who.incarnation}};
}

std::optional<store::member> read_member(const json& in) {
  const auto *node = member(in, "node"), *incarnation = member(in, "incarnation");
  if (node == nullptr || !node->is_string() || incarnation == nullptr || !incarnation->is_number_unsigned())
    return std::nullopt;
  const auto& name = node->get_ref<const std::string&>();
  if (name.empty() || name.size() > max_name_bytes)
    return std::nullopt;
  return store::member{name, incarnation->get<std::uint64_t>()};
}

} // namespace

std::string prefix_of(std::string_view cluster) {
  return "/glocal/" + std::string{cluster} + "/register/";
}

std::string key_of(std::string_view cluster, slot_id slot) {
  return prefix_of(cluster) + std::to_string(slot);
}

std::string encode_view(const slot_view& view, std::string_view writer) {
  json out{{"epoch", view.epoch}, {"primary", to_json(view.primary)}, {"members", json::array()}, {"writer", writer}};
  for (const auto& who : view.members)
    out["members"].push_back(to_json(who));
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<slot_view> decode_view(std::string_view text) {
  const auto in = json::parse(text, nullptr, false);
  const auto *epoch = member(in, "epoch"), *primary = member(in, "primary"), *members = member(in, "members");
  if (epoch == nullptr || !epoch->is_number_unsigned() || primary == nullptr || members == nullptr ||
      !members->is_array() || members->size() > max_members)
    return std::nullopt;
  slot_view out;
  out.epoch = epoch->get<epoch_number>();
  auto first = read_member(*primary);
  if (!first)
    return std::nullopt;
  out.primary = std::move(*first);
  for (const auto& each : *members) {
    auto who = read_member(each);
    if (!who || (!out.members.empty() && *who <= out.members.back()))
      return std::nullopt;
    out.members.push_back(std::move(*who));
  }
  if (!out.has(out.primary))
    return std::nullopt;
  return out;
}

std::string read_request(std::string_view key) {
  return json{{"key", to_base64(key)}}.dump();
}

std::string set_request(std::string_view key, std::uint64_t expected, std::string_view value) {
  const auto name = to_base64(key);
  return json{{"compare",
               {{{"key", name}, {"target", "MOD"}, {"result", "EQUAL"}, {"mod_revision", std::to_string(expected)}}}},
              {"success", {{{"request_put", {{"key", name}, {"value", to_base64(value)}}}}}},
              {"failure", {{{"request_range", {{"key", name}}}}}}}
      .dump();
}

std::string watch_request(std::string_view prefix, std::uint64_t from) {
  std::string end{prefix};
  ++end.back(); // prefixes end with a slash
  json create{{"key", to_base64(prefix)}, {"range_end", to_base64(end)}, {"filters", {"NODELETE"}}};
  if (from != 0)
    create["start_revision"] = std::to_string(from);
  return json{{"create_request", std::move(create)}}.dump();
}

std::optional<answer<register_value>> decode_read(std::string_view body, std::string_view key) {
  const auto in = json::parse(body, nullptr, false);
  const auto from = read_header(in);
  if (!from)
    return std::nullopt;
  const auto row = read_range(in, key);
  auto value = row ? value_of(*row) : std::nullopt;
  if (!value)
    return std::nullopt;
  return answer<register_value>{from->cluster, std::move(*value)};
}

std::optional<answer<set_outcome>> decode_set(std::string_view body, std::string_view key, std::uint64_t expected,
                                              std::string_view value) {
  const auto in = json::parse(body, nullptr, false);
  const auto from = read_header(in);
  const auto* responses = member(in, "responses");
  if (!from || responses == nullptr || !responses->is_array() || responses->size() != 1)
    return std::nullopt;
  const auto* succeeded = member(in, "succeeded");
  if (succeeded != nullptr && !succeeded->is_boolean())
    return std::nullopt;
  const auto done = [&](std::uint64_t version) -> std::optional<answer<set_outcome>> {
    auto view = decode_view(value);
    if (!view || version <= expected)
      return std::nullopt;
    return answer<set_outcome>{from->cluster, {set_outcome::kind::done, {version, std::move(*view)}}};
  };
  if (succeeded != nullptr && succeeded->get<bool>())
    return member(responses->front(), "response_put") != nullptr ? done(from->revision) : std::nullopt;
  const auto* range = member(responses->front(), "response_range");
  const auto row = range == nullptr ? std::nullopt : read_range(*range, key);
  if (!row || row->version == expected) // then it must have succeeded
    return std::nullopt;
  if (row->version > expected && row->text == value)
    return done(row->version); // an attempt before this one, whose reply was lost
  auto now = value_of(*row);
  if (!now)
    return std::nullopt;
  return answer<set_outcome>{from->cluster, {set_outcome::kind::conflict, std::move(*now)}};
}

std::optional<answer<watch_changes>> decode_watch(std::string_view line, std::string_view prefix) {
  const auto in = json::parse(line, nullptr, false);
  const auto* result = member(in, "result");
  const auto from = result == nullptr ? std::nullopt : read_header(*result);
  if (!from)
    return std::nullopt;
  answer<watch_changes> out{from->cluster, {{}, from->revision + 1}};
  if (const auto* canceled = member(*result, "canceled"); canceled != nullptr && *canceled == true)
    out.value.next = 0;
  const auto* events = member(*result, "events");
  if (events == nullptr)
    return out;
  if (!events->is_array())
    return std::nullopt;
  for (const auto& event : *events) {
    const auto* kv = member(event, "kv");
    const auto row = kv == nullptr ? std::nullopt : read_key_value(*kv);
    if (!row || !row->key.starts_with(prefix))
      continue;
    const auto name = std::string_view{row->key}.substr(prefix.size());
    slot_id slot = 0;
    const auto [end, failure] = std::from_chars(name.data(), name.data() + name.size(), slot);
    auto value = value_of(*row);
    if (value && failure == std::errc{} && end == name.data() + name.size())
      out.value.changes.emplace_back(slot, std::move(*value));
  }
  return out;
}

} // namespace glocal::store::etcd
