#include "node/daemon/store_requests.hpp"

#include "base/base64.hpp"
#include "base/escape.hpp"
#include "node/daemon/object_writer.hpp"
#include "store/slots.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <initializer_list>

namespace glocal::node {

using nlohmann::json;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds longest_wait{10'000};
constexpr std::size_t max_token_bytes = 6144;
/// First byte of a token's bytes.
constexpr char token_format = 1;

[[noreturn]] void refuse(const std::string& why) {
  throw api_refusal{400, why, "invalid"};
}

/// The fields of a request: of a JSON object, or behind the `?`. Every one must be asked for.
class fields {
public:
  explicit fields(const json& from) {
    if (!from.is_object())
      refuse("the body is no JSON object");
    object_ = &from;
  }
  explicit fields(const api_query& from) : query_{&from} {}

  [[nodiscard]] std::optional<std::string> text(const std::string& name) {
    known_.push_back(name);
    if (query_ != nullptr) {
      const auto at = query_->find(name);
      return at == query_->end() ? std::nullopt : std::optional{at->second};
    }
    const auto at = object_->find(name);
    if (at == object_->end())
      return std::nullopt;
    if (!at->is_string())
      refuse("'" + name + "' must be a text");
    return at->get<std::string>();
  }
  [[nodiscard]] std::optional<std::uint64_t> number(const std::string& name, std::uint64_t most = ~std::uint64_t{0}) {
    std::optional<std::uint64_t> out;
    if (query_ != nullptr) {
      const auto given = text(name);
      if (!given)
        return std::nullopt;
      std::uint64_t value = 0;
      const auto [end, failure] = std::from_chars(given->data(), given->data() + given->size(), value);
      if (failure == std::errc{} && end == given->data() + given->size())
        out = value;
    } else {
      known_.push_back(name);
      const auto at = object_->find(name);
      if (at == object_->end())
        return std::nullopt;
      if (at->is_number_unsigned())
        out = at->get<std::uint64_t>();
    }
    if (!out || *out > most)
      refuse("'" + name + "' must be a whole number" +
             (most == ~std::uint64_t{0} ? "" : " of at most " + std::to_string(most)));
    return out;
  }
  [[nodiscard]] bool flag(const std::string& name) {
    known_.push_back(name);
    const auto at = object_->find(name);
    if (at == object_->end())
      return false;
    if (!at->is_boolean())
      refuse("'" + name + "' must be true or false");
    return at->get<bool>();
  }
  /// `name` or `name_base64`.
  [[nodiscard]] std::optional<std::string> bytes(const std::string& name) {
    auto plain = text(name);
    const auto coded = text(name + "_base64");
    if (plain && coded)
      refuse("either '" + name + "' or '" + name + "_base64', not both");
    if (!coded)
      return plain;
    auto out = from_base64(*coded);
    if (!out)
      refuse("'" + name + "_base64' is no base64 (RFC 4648, with padding)");
    return out;
  }
  [[nodiscard]] const json* member(const std::string& name) {
    known_.push_back(name);
    const auto at = object_->find(name);
    return at == object_->end() ? nullptr : &*at;
  }
  /// A misspelt condition must not become none.
  void end() const {
    const auto look = [&](const std::string& name) {
      if (std::ranges::find(known_, name) != known_.end())
        return;
      std::string list;
      for (const auto& each : known_)
        list += (list.empty() ? "" : ", ") + each;
      refuse("there is no field '" + name.substr(0, 64) + "' here; there are " + list);
    };
    if (query_ != nullptr)
      for (const auto& [name, value] : *query_)
        look(name);
    else
      for (const auto& [name, value] : object_->items())
        look(name);
  }

private:
  const json* object_ = nullptr;
  const api_query* query_ = nullptr;
  std::vector<std::string> known_;
};

json parsed(std::string_view body) {
  return json::parse(body, nullptr, false);
}

store::table table_in(fields& from) {
  const auto name = from.text("table");
  if (name)
    if (const auto found = store::parse_table(*name))
      return *found;
  std::string list;
  for (const auto each : store::all_tables)
    list += (list.empty() ? "" : ", ") + std::string{store::name(each)};
  refuse(name ? "there is no table '" + name->substr(0, 64) + "'; there are " + list
              : "which table? There are " + list);
}

std::string key_in(fields& from) {
  auto key = from.bytes("key");
  if (!key || key->empty())
    refuse("a key must be given: 'key', or 'key_base64'");
  return std::move(*key);
}

store_manner manner_in(fields& from) {
  store_manner out;
  if (const auto within = from.number("timeout_ms", static_cast<std::uint64_t>(longest_wait.count())))
    out.within = std::max(milliseconds{*within}, milliseconds{1});
  if (const auto form = from.text("encoding")) {
    if (*form != "base64" && *form != "auto")
      refuse("'encoding' must be auto or base64");
    out.form = *form == "base64" ? byte_form::base64 : byte_form::text_or_base64;
  }
  return out;
}

std::optional<store::lease_id> lease_in(fields& from) {
  const auto text = from.text("lease");
  if (!text)
    return std::nullopt;
  store::lease_id out = 0;
  const auto [end, failure] = std::from_chars(text->data(), text->data() + text->size(), out, 16);
  if (failure != std::errc{} || end != text->data() + text->size() || out == 0)
    refuse("'lease' must be a hexadecimal number that is not 0, as 'lease/grant' gave it");
  return out;
}

store::operation operation_in(std::string_view verb, fields& from) {
  const auto table = table_in(from);
  auto key = key_in(from);
  if (verb == "get")
    return store::get_op{table, std::move(key)};
  if (verb == "erase")
    return store::erase_op{table, std::move(key), from.number("expected")};
  if (verb != "put" && verb != "put-if-absent" && verb != "compare-and-set")
    refuse("there is no operation '" + std::string{verb.substr(0, 64)} +
           "'; there are get, put, put-if-absent, compare-and-set, erase");
  auto value = from.bytes("value");
  if (!value)
    refuse("a value must be given: 'value', or 'value_base64'");
  const auto lease = lease_in(from).value_or(0);
  if (verb == "put")
    return store::put_op{table, std::move(key), std::move(*value), lease};
  if (verb == "put-if-absent")
    return store::put_if_absent_op{table, std::move(key), std::move(*value), lease};
  const auto expected = from.number("expected");
  if (!expected)
    refuse("'expected' must be given: the version the entry should have, 0 when it should not be there");
  return store::compare_and_set_op{table, std::move(key), std::move(*value), *expected, lease};
}

void check_size(const store::batch& operations) {
  if (const auto fault = store::check(operations)) {
    if (*fault != store::store_error::too_large)
      refuse(std::string{store::name(*fault)});
    throw api_refusal{413,
                      "a key has at most " + std::to_string(store::limits::key_bytes) + " bytes, a value " +
                          std::to_string(store::limits::value_bytes) + ", a batch " +
                          std::to_string(store::limits::batch_operations) + " operations and " +
                          std::to_string(store::limits::batch_bytes) + " bytes of keys and values",
                      "too_large"};
  }
}

void check_prefix(const std::string& prefix) {
  if (prefix.size() > store::limits::key_bytes)
    throw api_refusal{413, "a key has at most " + std::to_string(store::limits::key_bytes) + " bytes", "too_large"};
}

// Answers.

void add_bytes(object_writer& to, std::string_view name, std::string_view value, byte_form form) {
  if (form == byte_form::text_or_base64 && is_utf8(value))
    to.add(name, value);
  else
    to.add(std::string{name} + "_base64", to_base64(value));
}

void add_entry(object_writer& to, const store::entry& row, byte_form form) {
  to.add("table", store::name(row.table));
  add_bytes(to, "key", row.key, form);
  add_bytes(to, "value", row.value, form);
  to.add("version", row.version);
  if (row.lease != 0)
    to.add("lease", lease_text(row.lease));
}

void add_found(object_writer& to, const store::op_result& result, byte_form form) {
  if (!result.found)
    return to.add_null("found");
  auto found = to.object("found");
  add_entry(found, *result.found, form);
}

struct meaning {
  int status;
  std::string_view code, text;
};

meaning meaning_of(std::string_view verb, store::op_code code) {
  switch (code) {
  case store::op_code::ok: break;
  case store::op_code::conflict:
    if (verb == "put-if-absent")
      return {409, "conflict", "the key is there already: 'found'"};
    return {412, "conflict", "the entry has not the expected version: 'found' is what is there"};
  case store::op_code::not_found: return {404, "not_found", "there is no such key"};
  case store::op_code::no_such_lease:
    return {409, "no_such_lease", "the lease ran out or was never granted: nothing was written"};
  }
  return {200, "ok", ""};
}

void put_varint(std::string& to, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    to += static_cast<char>(value | 0x80);
  to += static_cast<char>(value);
}

std::optional<std::uint64_t> take_varint(std::string_view& from) {
  std::uint64_t out = 0;
  for (unsigned shift = 0; shift < 64 && !from.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(from.front());
    from.remove_prefix(1);
    if (shift == 63 && byte > 1)
      return std::nullopt;
    out |= std::uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80)
      return out;
  }
  return std::nullopt;
}

std::vector<store::slot_revision> parse_token(std::string_view token, const store_watch& watch,
                                              store::slot_id slot_count) {
  constexpr auto wrong = "'from' is not what a watch of the same keys in this cluster gave as its last id";
  std::vector<store::slot_revision> out;
  if (watch.one_key || slot_count == 1) {
    store::revision at = 0;
    const auto [end, failure] = std::from_chars(token.data(), token.data() + token.size(), at);
    if (failure != std::errc{} || end != token.data() + token.size())
      refuse(wrong);
    out.push_back({store::slot_of(watch.of, watch.prefix, slot_count), at});
    return out;
  }
  const auto decoded = from_base64url(token);
  if (!decoded || decoded->empty() || decoded->front() != token_format)
    refuse(wrong);
  auto rest = std::string_view{*decoded}.substr(1);
  for (store::slot_id slot = 0; slot < slot_count; ++slot) {
    const auto at = take_varint(rest);
    if (!at)
      refuse(wrong);
    out.push_back({slot, *at});
  }
  if (!rest.empty())
    refuse(wrong);
  return out;
}

} // namespace

std::string lease_text(store::lease_id id) {
  std::string out(16, '0');
  for (std::size_t i = out.size(); id != 0; id >>= 4)
    out[--i] = "0123456789abcdef"[id & 15];
  return out;
}

store_request parse_write(std::string_view verb, std::string_view body) {
  const auto value = parsed(body);
  fields from{value};
  store_request out;
  out.operations.push_back(operation_in(verb, from));
  out.manner = manner_in(from);
  from.end();
  check_size(out.operations);
  return out;
}

store_request parse_get(const api_query& query) {
  fields from{query};
  store_request out;
  out.operations.push_back(operation_in("get", from));
  out.manner = manner_in(from);
  from.end();
  check_size(out.operations);
  return out;
}

store_request parse_batch(std::string_view body) {
  const auto value = parsed(body);
  fields from{value};
  const auto* list = from.member("operations");
  if (list == nullptr || !list->is_array())
    refuse("'operations' must be a list of objects");
  store_request out;
  for (std::size_t i = 0; i < list->size(); ++i) {
    try {
      fields each{(*list)[i]};
      const auto verb = each.text("operation");
      if (!verb)
        refuse("'operation' must say which one");
      out.operations.push_back(operation_in(*verb, each));
      each.end();
    } catch (const api_refusal& why) {
      throw api_refusal{why.status, "operation " + std::to_string(i) + ": " + why.what(), why.code};
    }
  }
  out.manner = manner_in(from);
  from.end();
  check_size(out.operations);
  return out;
}

store_scan parse_scan(const api_query& query) {
  fields from{query};
  store_scan out;
  out.from = table_in(from);
  out.prefix = from.bytes("prefix").value_or("");
  check_prefix(out.prefix);
  out.limit = from.number("limit", store::limits::scan_page_entries).value_or(store::limits::scan_page_entries);
  if (out.limit == 0)
    refuse("'limit' must be at least 1");
  if (const auto token = from.text("continuation")) {
    auto position = from_base64url(*token);
    if (!position)
      refuse("'continuation' is not what the page before gave");
    out.continuation = std::move(*position);
  }
  out.manner = manner_in(from);
  from.end();
  return out;
}

store_watch parse_watch(const api_query& query, std::string_view last_event_id, store::slot_id slot_count) {
  fields from{query};
  store_watch out;
  out.of = table_in(from);
  auto key = from.bytes("key");
  auto prefix = from.bytes("prefix");
  if (key && prefix)
    refuse("either 'key' or 'prefix', not both");
  if (key && key->empty())
    refuse("a key is not empty");
  out.one_key = key.has_value();
  out.prefix = std::move(key).value_or(std::move(prefix).value_or(""));
  check_prefix(out.prefix);
  out.form = manner_in(from).form;
  // A browser repeats the address it began with, so what it has seen since counts for more.
  const auto asked = from.text("from").value_or("");
  const auto token = last_event_id.empty() ? std::string_view{asked} : last_event_id;
  from.end();
  if (!token.empty())
    out.from = parse_token(token, out, slot_count);
  return out;
}

store::slot_id parse_slot(const api_query& query, store::slot_id slot_count) {
  fields from{query};
  const auto slot = from.number("slot", slot_count - 1u);
  if (!slot)
    refuse("'slot' must be given");
  from.end();
  return static_cast<store::slot_id>(*slot);
}

store_lease parse_lease(std::string_view body, bool grant) {
  const auto value = parsed(body);
  fields from{value};
  store_lease out;
  out.id = lease_in(from);
  if (!grant && !out.id)
    refuse("'lease' must be given");
  if (grant) {
    const auto ttl = from.number("ttl_ms", static_cast<std::uint64_t>(store::limits::longest_ttl.count()));
    if (!ttl || milliseconds{*ttl} < store::limits::shortest_ttl)
      refuse("'ttl_ms' must be given: " + std::to_string(store::limits::shortest_ttl.count()) + " to " +
             std::to_string(store::limits::longest_ttl.count()));
    out.ttl = milliseconds{*ttl};
  }
  out.manner = manner_in(from);
  from.end();
  return out;
}

store_drain parse_drain(std::string_view body) {
  const auto value = parsed(body);
  fields from{value};
  store_drain out;
  out.node = from.text("node").value_or("");
  if (out.node.empty() || out.node.size() > store::limits::node_name_bytes)
    refuse("'node' must be given: the name of a store node");
  out.undo = from.flag("undo");
  from.end();
  return out;
}

bool parse_rebalance(std::string_view body) {
  const auto value = body.empty() ? json::object() : parsed(body);
  fields from{value};
  const bool dry_run = from.flag("dry_run");
  from.end();
  return dry_run;
}

api_answer answer_of(const std::vector<store::planned_move>& moves) {
  auto list = json::array();
  for (const auto& each : moves)
    list.push_back({{"slot", each.slot}, {"from", each.from}, {"to", each.to}});
  return {200, json{{"moves", std::move(list)}}.dump()};
}

api_answer answer_of(std::string_view verb, const store::op_result& result, byte_form form) {
  const auto what = meaning_of(verb, result.code);
  api_answer out{what.status, {}};
  object_writer to{out.body};
  if (!result.ok()) {
    to.add("error", what.text);
    to.add("code", what.code);
    if (result.code == store::op_code::conflict)
      add_found(to, result, form);
  } else if (verb == "get" && result.found) {
    add_entry(to, *result.found, form);
  } else if (result.found) {
    to.add("version", result.found->version);
  }
  to.close();
  return out;
}

api_answer answer_of(const std::vector<store::op_result>& results, byte_form form) {
  api_answer out;
  out.body = "{\"results\":[";
  for (const auto& result : results) {
    if (&result != &results.front())
      out.body += ',';
    object_writer to{out.body};
    to.add("code", meaning_of("", result.code).code);
    if (result.found)
      add_found(to, result, form);
  }
  out.body += "]}";
  return out;
}

api_answer answer_of(const store::scan_page& page, byte_form form) {
  api_answer out;
  out.body = "{\"entries\":[";
  for (const auto& row : page.entries) {
    if (&row != &page.entries.front())
      out.body += ',';
    object_writer to{out.body};
    add_entry(to, row, form);
  }
  out.body += ']';
  if (!page.continuation.empty())
    out.body += ",\"continuation\":\"" + to_base64url(page.continuation) + '"';
  out.body += '}';
  return out;
}

api_answer answer_of(store::slot_id slot, const store::snapshot& state) {
  api_answer out{200, {}, "application/x-ndjson"};
  const auto line = [&](const auto& write) {
    {
      object_writer to{out.body};
      write(to);
    }
    out.body += '\n';
  };
  line([&](object_writer& to) {
    to.add("slot", std::uint64_t{slot});
    to.add("revision", state.image.index);
    to.add("epoch", state.at.epoch);
    to.add("index", state.at.index);
    to.add("leases", std::uint64_t{state.image.leases.size()});
    to.add("entries", std::uint64_t{state.image.entries.size()});
  });
  for (const auto& lease : state.image.leases)
    line([&](object_writer& to) {
      to.add("lease", lease_text(lease.id));
      to.add("ttl_ms", static_cast<std::uint64_t>(lease.ttl.count()));
    });
  for (const auto& row : state.image.entries)
    line([&](object_writer& to) { add_entry(to, row, byte_form::base64); });
  return out;
}

api_answer answer_of(store::store_error why) {
  meaning what{500, "failed", ""};
  switch (why) {
  case store::store_error::unavailable: what = {503, "unavailable", ""}; break;
  case store::store_error::timeout: what = {504, "timeout", ""}; break;
  case store::store_error::too_large: what = {413, "too_large", ""}; break;
  case store::store_error::no_such_lease: what = {404, "no_such_lease", ""}; break;
  case store::store_error::compacted: what = {410, "compacted", ""}; break;
  case store::store_error::invalid: what = {400, "invalid", ""}; break;
  case store::store_error::overloaded: what = {503, "overloaded", ""}; break;
  }
  api_answer out{what.status, {}};
  object_writer to{out.body};
  to.add("error", store::name(why));
  to.add("code", what.code);
  to.close();
  return out;
}

std::string position_token(const std::vector<store::slot_revision>& positions) {
  if (positions.size() == 1)
    return std::to_string(positions.front().at);
  std::string bytes{token_format};
  for (const auto& each : positions)
    put_varint(bytes, each.at);
  auto out = to_base64url(bytes);
  return out.size() <= max_token_bytes ? out : std::string{};
}

std::string event_text(const store::watch_event& event, byte_form form, const std::string* id) {
  using kind = store::watch_event::kind;
  std::string out = "event: ";
  switch (event.what) {
  case kind::put: out += "put"; break;
  case kind::erase: out += "erase"; break;
  case kind::live: out += "live"; break;
  case kind::suspect: out += "suspect"; break;
  case kind::resync: out += "resync"; break;
  case kind::compacted: out += "compacted"; break;
  }
  if (id != nullptr)
    (out += "\nid: ") += *id;
  out += "\ndata: ";
  {
    object_writer to{out};
    if (event.what == kind::put || event.what == kind::erase || event.what == kind::compacted) {
      to.add("slot", std::uint64_t{event.slot});
      to.add("revision", event.at);
    }
    if (event.what == kind::put) {
      add_entry(to, event.entry, form);
    } else if (event.what == kind::erase) {
      to.add("table", store::name(event.entry.table));
      add_bytes(to, "key", event.entry.key, form);
    } else if (event.what == kind::compacted) {
      to.add("error", "changes since the given id are no longer held: begin without it");
    }
  }
  out += "\n\n";
  return out;
}

} // namespace glocal::node
