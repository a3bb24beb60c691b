#include "node/daemon/store_report.hpp"

#include "node/daemon/object_writer.hpp"
#include "node/daemon/status.hpp"

#include <charconv>

namespace glocal::node {
namespace {

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

void append_list(std::string& to, std::string_view key, const std::string& of) {
  (to += ',') += '"';
  (to += key) += "\":[";
  bool first = true;
  for (const auto word : words(of)) {
    if (!std::exchange(first, false))
      to += ',';
    append_json_string(to, word);
  }
  to += ']';
}

void append_slot(std::string& to, const runtime::actor_record& shard) {
  {
    object_writer row{to};
    for (const auto* number : {"slot", "epoch", "log_last", "committed", "revision", "keys", "leases", "subscriptions"})
      row.add(number, number_of(shard, number));
    for (const auto* text : {"role", "primary", "failure"})
      row.add(text, state_of(shard, text));
    auto missing = row.object("missing");
    for (const auto word : words(state_of(shard, "missing"))) {
      const auto split = word.rfind(':');
      if (split == std::string_view::npos)
        continue;
      std::uint64_t count = 0;
      std::from_chars(word.data() + split + 1, word.data() + word.size(), count);
      missing.add(word.substr(0, split), count);
    }
  }
  to.pop_back();
  to += state_of(shard, "serving") == "true" ? ",\"serving\":true" : ",\"serving\":false";
  append_list(to, "members", state_of(shard, "members"));
  append_list(to, "placed", state_of(shard, "placed"));
  to += '}';
}

} // namespace

std::string store_report(const std::string& node, store::slot_id slot_count, const std::string& etcd,
                         const std::vector<runtime::actor_record>& records) {
  std::string out;
  {
    object_writer head{out};
    head.add("node", node);
    head.add("slot_count", std::uint64_t{etcd.empty() ? slot_count : store::slot_id{0}});
    if (!etcd.empty()) {
      head.add("etcd", etcd);
      for (const auto* one : of_kind(records, "store client")) {
        head.add("answers", state_of(*one, "answers"));
        head.add("watchers", number_of(*one, "watches"));
      }
    }
    for (const auto* one : of_kind(records, "store node")) {
      head.add("copies", number_of(*one, "copies"));
      head.add("watchers", number_of(*one, "watchers"));
      head.add("leases", number_of(*one, "leases"));
      head.add("disk", state_of(*one, "disk"));
    }
    for (const auto* one : of_kind(records, "store log")) {
      head.add("log_bytes", number_of(*one, "held_bytes"));
      head.add("log_segments", number_of(*one, "segments"));
      head.add("log_sync_p99_us", number_of(*one, "sync_p99_us"));
    }
    for (const auto* one : of_kind(records, "store engine")) {
      head.add("engine_waiting_bytes", number_of(*one, "waiting_bytes"));
      head.add("engine_unflushed_bytes", number_of(*one, "unflushed_bytes"));
    }
  }
  out.pop_back();
  for (const auto* one : of_kind(records, "store placement")) {
    if (one->state.empty())
      continue;
    {
      out += ",\"placement\":";
      object_writer placement{out};
      placement.add("to_move", number_of(*one, "to_move"));
      placement.add("fault", state_of(*one, "fault"));
    }
    out.pop_back();
    out += state_of(*one, "evening") == "true" ? ",\"evening\":true" : ",\"evening\":false";
    append_list(out, "drained", state_of(*one, "drained"));
    append_list(out, "moving", state_of(*one, "moving"));
    out += '}';
    break;
  }
  out += ",\"slots\":[";
  bool first = true;
  for (const auto* shard : of_kind(records, "store shard")) {
    if (shard->state.empty())
      continue;
    if (!std::exchange(first, false))
      out += ',';
    append_slot(out, *shard);
  }
  out += "]}";
  return out;
}

} // namespace glocal::node
