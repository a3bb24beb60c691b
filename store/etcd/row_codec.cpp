#include "store/etcd/row_codec.hpp"

#include "base/base64.hpp"
#include "base/hash.hpp"
#include "store/etcd/json_parts.hpp"

#include <algorithm>
#include <utility>

namespace glocal::store::etcd {

using nlohmann::json;

namespace {

/// Of a table's part of the keys: the first key after it. Prefixes end with a slash.
std::string end_of(std::string prefix) {
  ++prefix.back();
  return prefix;
}

/// The first key that does not begin with `prefix`, which may end with any byte; tables' own ends bound it.
std::string end_of(const std::string& table_prefix, std::string prefix) {
  while (prefix.size() > table_prefix.size() && static_cast<unsigned char>(prefix.back()) == 0xff)
    prefix.pop_back();
  prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

json compare(const std::string& key, const char* target, const char* field, const std::string& value) {
  return {{"key", key}, {"target", target}, {"result", "EQUAL"}, {field, value}};
}

json put(const std::string& key, std::string_view value, std::int64_t lease) {
  json out{{"key", key}, {"value", to_base64(value)}};
  if (lease != 0)
    out["lease"] = std::to_string(lease);
  return {{"request_put", std::move(out)}};
}

json range(const std::string& key) {
  return {{"request_range", {{"key", key}}}};
}

json either(json conditions, json success, json failure) {
  return {{"request_txn",
           {{"compare", std::move(conditions)},
            {"success", json::array({std::move(success)})},
            {"failure", json::array({std::move(failure)})}}}};
}

json request_of(const row_space& space, const operation& op) {
  const auto key = to_base64(space.prefix_of(table_of(op)) + key_of(op));
  if (const auto* write = std::get_if<put_op>(&op)) {
    // An unchanged put is no change.
    const auto lease = space.to_etcd(write->lease);
    return either(json::array({compare(key, "VALUE", "value", to_base64(write->value)),
                               compare(key, "LEASE", "lease", std::to_string(lease))}),
                  range(key), put(key, write->value, lease));
  }
  if (const auto* write = std::get_if<put_if_absent_op>(&op))
    return either(json::array({compare(key, "MOD", "mod_revision", "0")}),
                  put(key, write->value, space.to_etcd(write->lease)), range(key));
  if (const auto* write = std::get_if<compare_and_set_op>(&op))
    return either(json::array({compare(key, "MOD", "mod_revision", std::to_string(write->expected))}),
                  put(key, write->value, space.to_etcd(write->lease)), range(key));
  if (const auto* erase = std::get_if<erase_op>(&op)) {
    const json removal{{"request_delete_range", {{"key", key}}}};
    if (!erase->expected)
      return removal;
    return either(json::array({compare(key, "MOD", "mod_revision", std::to_string(*erase->expected))}), removal,
                  range(key));
  }
  return range(key);
}

/// A row of `of`, if it is one.
std::optional<entry> read_row(const json& in, const row_space& space, table of, const std::string& prefix) {
  auto key = bytes_of(in, "key");
  // An empty value is left out.
  auto value = member(in, "value") == nullptr ? std::optional{std::string{}} : bytes_of(in, "value");
  const auto version = number(in, "mod_revision");
  const auto lease = number<std::int64_t>(in, "lease");
  if (!key || !value || !version || *version == 0 || !lease || !key->starts_with(prefix) ||
      key->size() == prefix.size())
    return std::nullopt;
  return entry{of, key->substr(prefix.size()), std::move(*value), *version, space.from_etcd(*lease)};
}

/// What a range of one key found; the inner one is empty when nothing.
std::optional<std::optional<entry>> read_one(const json& response, const row_space& space, const operation& op) {
  const auto* found = member(response, "response_range");
  if (found == nullptr)
    return std::nullopt;
  const auto* rows = member(*found, "kvs");
  if (rows == nullptr)
    return std::optional<entry>{};
  if (!rows->is_array() || rows->size() != 1)
    return std::nullopt;
  auto row = read_row(rows->front(), space, table_of(op), space.prefix_of(table_of(op)));
  if (!row || row->key != key_of(op))
    return std::nullopt;
  return row;
}

std::optional<op_result> read_deletion(const json& response) {
  const auto* found = member(response, "response_delete_range");
  const auto deleted = found == nullptr ? std::nullopt : number(*found, "deleted");
  if (!deleted)
    return std::nullopt;
  return op_result{*deleted == 0 ? op_code::not_found : op_code::ok, {}};
}

/// `value` and `lease` of an operation that writes.
entry written(const operation& op, revision at) {
  entry out{table_of(op), key_of(op), {}, at, lease_of(op)};
  std::visit(
      [&](const auto& each) {
        if constexpr (requires { each.value; })
          out.value = each.value;
      },
      op);
  return out;
}

std::optional<op_result> read_result(const json& response, const row_space& space, const operation& op, revision at) {
  if (std::holds_alternative<get_op>(op)) {
    auto found = read_one(response, space, op);
    if (!found)
      return std::nullopt;
    return op_result{*found ? op_code::ok : op_code::not_found, std::move(*found)};
  }
  const auto* erase = std::get_if<erase_op>(&op);
  if (erase != nullptr && !erase->expected)
    return read_deletion(response);
  const auto* txn = member(response, "response_txn");
  const auto succeeded = txn == nullptr ? std::nullopt : flag(*txn, "succeeded");
  const auto* inner = txn == nullptr ? nullptr : member(*txn, "responses");
  if (!succeeded || inner == nullptr || !inner->is_array() || inner->size() != 1)
    return std::nullopt;
  if (erase != nullptr && *succeeded) {
    // A condition on version 0 holds where nothing is.
    return read_deletion(inner->front());
  }
  if (std::holds_alternative<put_op>(op) != *succeeded) {
    if (member(inner->front(), "response_put") == nullptr || at == 0)
      return std::nullopt;
    return op_result{op_code::ok, written(op, at)};
  }
  auto found = read_one(inner->front(), space, op);
  if (!found)
    return std::nullopt;
  if (std::holds_alternative<put_op>(op))
    return *found ? std::optional{op_result{op_code::ok, std::move(*found)}} : std::nullopt;
  if (erase != nullptr && !*found)
    return op_result{op_code::not_found, {}};
  return op_result{op_code::conflict, std::move(*found)};
}

} // namespace

row_space::row_space(std::string_view cluster)
    : root_{"/glocal/" + std::string{cluster} + "/store/"},
      heartbeats_{"/glocal/" + std::string{cluster} + "/heartbeat/"}, lease_salt_{hash_text(cluster, 1)} {}

std::string row_space::prefix_of(table of) const {
  return root_ + std::string{name(of)} + "/";
}

std::int64_t row_space::to_etcd(lease_id lease) const noexcept {
  return lease == 0 ? 0 : static_cast<std::int64_t>(lease ^ lease_salt_);
}

lease_id row_space::from_etcd(std::int64_t lease) const noexcept {
  return lease == 0 ? 0 : static_cast<std::uint64_t>(lease) ^ lease_salt_;
}

std::string txn_request(const row_space& space, const batch& operations) {
  json all = json::array();
  for (const auto& op : operations)
    all.push_back(request_of(space, op));
  return json{{"success", std::move(all)}}.dump();
}

std::optional<answer<std::vector<op_result>>> decode_txn(std::string_view body, const row_space& space,
                                                         const batch& operations) {
  const auto in = json::parse(body, nullptr, false);
  const auto from = read_header(in);
  const auto* responses = member(in, "responses");
  if (!from || responses == nullptr || !responses->is_array() || responses->size() != operations.size())
    return std::nullopt;
  answer<std::vector<op_result>> out{from->cluster, {}};
  for (std::size_t i = 0; i < operations.size(); ++i) {
    auto result = read_result((*responses)[i], space, operations[i], from->revision);
    if (!result)
      return std::nullopt;
    out.value.push_back(std::move(*result));
  }
  return out;
}

std::string range_request(const row_space& space, const range_of_rows& what) {
  const auto prefix = space.prefix_of(what.from);
  // The successor of a key is the key with a zero byte.
  const auto begin = what.after.empty() ? prefix + what.prefix : prefix + what.after + '\0';
  json out{{"key", to_base64(begin)},
           {"range_end", to_base64(end_of(prefix, prefix + what.prefix))},
           {"limit", std::to_string(what.limit)}};
  if (what.at != 0)
    out["revision"] = std::to_string(what.at);
  return out.dump();
}

std::optional<answer<found_rows>> decode_range(std::string_view body, const row_space& space,
                                               const range_of_rows& what) {
  const auto in = json::parse(body, nullptr, false);
  const auto from = read_header(in);
  const auto more = flag(in, "more");
  if (!from || !more)
    return std::nullopt;
  answer<found_rows> out{from->cluster, {{}, *more, from->revision}};
  const auto* rows = member(in, "kvs");
  if (rows == nullptr)
    return *more ? std::nullopt : std::optional{std::move(out)};
  if (!rows->is_array() || rows->size() > what.limit)
    return std::nullopt;
  const auto prefix = space.prefix_of(what.from);
  for (const auto& each : *rows) {
    auto row = read_row(each, space, what.from, prefix);
    const auto& last = out.value.rows.empty() ? what.after : out.value.rows.back().key;
    if (!row || !row->key.starts_with(what.prefix) || (!last.empty() && row->key <= last))
      return std::nullopt;
    out.value.rows.push_back(std::move(*row));
  }
  return out;
}

std::string watch_requests(const row_space& space, const std::vector<watched_rows>& watches) {
  const auto create = [](watch_id id, const std::string& key, const std::string& end, revision from) {
    json out{
        {"key", to_base64(key)}, {"range_end", to_base64(end)}, {"watch_id", std::to_string(id)}, {"fragment", true}};
    if (from != 0)
      out["start_revision"] = std::to_string(from);
    return json{{"create_request", std::move(out)}}.dump() + "\n";
  };
  auto out = create(heartbeat_watch, space.heartbeats(), end_of(space.heartbeats()), 0);
  for (const auto& each : watches) {
    const auto prefix = space.prefix_of(each.of);
    out += create(each.id, prefix + each.prefix, end_of(prefix, prefix + each.prefix), each.from);
  }
  return out;
}

std::optional<answer<heard_changes>> decode_changes(std::string_view line) {
  const auto in = json::parse(line, nullptr, false);
  const auto* result = member(in, "result");
  const auto from = result == nullptr ? std::nullopt : read_header(*result);
  if (!from)
    return std::nullopt;
  const auto id = number(*result, "watch_id");
  const auto created = flag(*result, "created"), canceled = flag(*result, "canceled"),
             fragment = flag(*result, "fragment");
  if (!id || !created || !canceled || !fragment)
    return std::nullopt;
  answer<heard_changes> out{from->cluster, {*id, from->revision, *created, *canceled, *fragment, {}}};
  const auto* events = member(*result, "events");
  if (events == nullptr)
    return out;
  if (!events->is_array())
    return std::nullopt;
  for (const auto& event : *events) {
    const auto* kv = member(event, "kv");
    const auto* type = member(event, "type");
    if (kv == nullptr || (type != nullptr && *type != "DELETE" && *type != "PUT"))
      return std::nullopt;
    auto key = bytes_of(*kv, "key");
    auto value = member(*kv, "value") == nullptr ? std::optional{std::string{}} : bytes_of(*kv, "value");
    const auto at = number(*kv, "mod_revision");
    const auto lease = number<std::int64_t>(*kv, "lease");
    if (!key || !value || !at || *at == 0 || !lease)
      return std::nullopt;
    out.value.changes.push_back({type == nullptr || *type == "PUT", std::move(*key), std::move(*value), *at, *lease});
  }
  return out;
}

std::optional<watch_event> event_of(heard_changes::change&& change, const row_space& space,
                                    const watched_rows& watched) {
  const auto prefix = space.prefix_of(watched.of);
  if (!change.key.starts_with(prefix + watched.prefix) || change.key.size() == prefix.size())
    return std::nullopt;
  watch_event out;
  out.what = change.is_put ? watch_event::kind::put : watch_event::kind::erase;
  out.at = change.at;
  out.entry = {watched.of, change.key.substr(prefix.size()), std::move(change.value), change.at,
               space.from_etcd(change.lease)};
  return out;
}

std::string put_heartbeat_request(const row_space& space, std::string_view node) {
  return json{{"key", to_base64(space.heartbeats() + std::string{node})}, {"value", ""}}.dump();
}

std::string grant_request(std::int64_t lease, std::chrono::seconds ttl) {
  return json{{"ID", std::to_string(lease)}, {"TTL", std::to_string(ttl.count())}}.dump();
}

std::string lease_request(std::int64_t lease) {
  return json{{"ID", std::to_string(lease)}}.dump();
}

std::optional<answer<std::uint64_t>> decode_keepalive(std::string_view body, std::int64_t lease) {
  const auto in = json::parse(body, nullptr, false);
  const auto* result = member(in, "result");
  const auto from = result == nullptr ? std::nullopt : read_header(*result);
  if (!from)
    return std::nullopt;
  const auto id = number<std::int64_t>(*result, "ID");
  const auto left = number<std::int64_t>(*result, "TTL");
  if (!id || *id != lease || !left)
    return std::nullopt;
  return answer<std::uint64_t>{from->cluster, static_cast<std::uint64_t>(std::max<std::int64_t>(*left, 0))};
}

std::uint64_t cluster_of(std::string_view body) {
  const auto from = read_header(json::parse(body, nullptr, false));
  return from ? from->cluster : 0;
}

std::string fault_of(std::string_view body) {
  const auto in = json::parse(body, nullptr, false);
  const auto* text = member(in, "error");
  return text != nullptr && text->is_string() ? text->get<std::string>() : std::string{};
}

} // namespace glocal::store::etcd
