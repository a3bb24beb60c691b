#include "tools/glocal_backup.hpp"

#include "node/backup/backup_directory.hpp"
#include "node/launcher/node_client.hpp"
#include "tools/glocal_answers.hpp"
#include "tools/glocal_clusters.hpp"
#include "tools/glocal_store.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <iostream>
#include <map>
#include <thread>

namespace glocal::cli {

using namespace std::chrono_literals;
using nlohmann::json;
using clock = std::chrono::steady_clock;

namespace {

/// A slot that has no primary for so long ends the command: a take-over takes about a second.
constexpr auto slot_patience = 15s;
constexpr auto slot_timeout = 30s;
constexpr auto retry_pause = 200ms;
constexpr auto progress_period = 1s;
/// A batch of the API: well below what it takes.
constexpr std::size_t batch_rows = 500, batch_bytes = std::size_t{256} << 10;
constexpr double batch_patience_s = 15;

std::string utc_now() {
  const auto now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

/// Rows that their owners publish again every second, and what is made of them: old ones would only mislead.
bool is_derived(const std::string& table) {
  const auto known = store::parse_table(table);
  // Where slots are is the running cluster's own business.
  return known && (store::is_volatile(*known) || *known == store::table::digests || *known == store::table::placement);
}

class progress {
public:
  explicit progress(std::string what) : what_{std::move(what)} {}
  void say(std::uint64_t slot, std::uint64_t of, std::uint64_t rows) {
    if (clock::now() - last_ < progress_period)
      return;
    last_ = clock::now();
    std::cerr << "glocal: " << what_ << ": slot " << slot << " of " << of << ", " << rows << " rows\n";
  }

private:
  std::string what_;
  clock::time_point last_ = clock::now();
};

/// Where slots are served.
class slot_finder {
public:
  explicit slot_finder(const node::cluster_state& state) : state_{state} {}

  /// All of a slot, from the node that serves it. Nothing, and the reason printed, when none does.
  std::optional<std::string> take(std::uint64_t slot) {
    const auto end = clock::now() + slot_patience;
    const auto target = "/api/v1/store/slot?slot=" + std::to_string(slot);
    std::string why = "no node serves it";
    while (!was_interrupted()) {
      if (const auto at = primaries_.find(slot); at != primaries_.end()) {
        auto said = node::call_node(socket_of(state_, at->second), target, std::nullopt, slot_timeout);
        if (said && said->status == 200)
          return std::move(said->body);
        why = said ? "node " + at->second + ": " + cell(at_error(said->body)) : "node " + at->second + " is gone";
      }
      if (clock::now() >= end)
        break;
      std::this_thread::sleep_for(retry_pause);
      look();
    }
    if (!was_interrupted())
      complain("slot " + std::to_string(slot) + " can't be read: " + why);
    return std::nullopt;
  }
  /// Asks all nodes what they serve. @return how many slots the store has; 0 when nobody says so.
  std::uint64_t look() {
    std::uint64_t slots = 0;
    std::map<std::uint64_t, std::uint64_t> epochs;
    primaries_.clear();
    for (const auto& one : ask_all(state_, "/api/v1/store/status")) {
      on_etcd_ = on_etcd_ || at(one.body, {"etcd"}).is_string();
      const auto& count = at(one.body, {"slot_count"});
      if (count.is_number_unsigned())
        slots = std::max(slots, count.get<std::uint64_t>());
      for (const auto& row : list(at(one.body, {"slots"}))) {
        const auto &slot = at(row, {"slot"}), &serving = at(row, {"serving"}), &epoch = at(row, {"epoch"});
        if (!slot.is_number_unsigned() || !epoch.is_number_unsigned() || serving != json(true))
          continue;
        auto& newest = epochs[slot.get<std::uint64_t>()];
        if (epoch.get<std::uint64_t>() < newest)
          continue;
        newest = epoch.get<std::uint64_t>();
        primaries_[slot.get<std::uint64_t>()] = one.node;
      }
    }
    return slots;
  }
  /// Whether a node has said that the whole store is on etcd.
  [[nodiscard]] bool is_on_etcd() const { return on_etcd_; }

private:
  static json at_error(const std::string& body) {
    const auto value = json::parse(body, nullptr, false);
    return at(value, {"error"});
  }

  const node::cluster_state& state_;
  std::map<std::uint64_t, std::string> primaries_;
  bool on_etcd_ = false;
};

} // namespace

int store_backup(const backup_options& options) {
  const auto found = find_running(options.cluster);
  if (!found.state)
    return found.code;
  watch_signals();
  slot_finder slots{*found.state};
  const auto count = slots.look();
  if (slots.is_on_etcd()) {
    complain("the store is on etcd alone: 'etcdctl snapshot save' keeps all of it");
    return failed;
  }
  if (count == 0) {
    complain("no store node of cluster '" + found.state->cluster + "' answers");
    return unreachable;
  }
  node::backup_manifest head;
  head.cluster = found.state->cluster;
  head.slot_count = count;
  head.created = utc_now();
  head.version = GLOCAL_VERSION;
  auto writer = node::backup_writer::create(options.directory, std::move(head));
  if (!writer) {
    complain(writer.error());
    return usage;
  }
  progress shown{"backup"};
  std::uint64_t rows = 0;
  for (std::uint64_t slot = 0; slot < count; ++slot) {
    const auto content = slots.take(slot);
    if (was_interrupted())
      return interrupted;
    if (!content)
      return unreachable;
    const auto added = writer->add(slot, *content);
    if (!added) {
      complain(added.error());
      return failed;
    }
    rows += added->entries;
    shown.say(slot + 1, count, rows);
  }
  const auto finished = writer->finish();
  if (!finished) {
    complain(finished.error());
    return failed;
  }
  std::cout << rows << " rows of " << count << " slots are in " << options.directory << '\n';
  return done;
}

namespace {

/// One way through a backup's rows, in batches of the API.
class restorer {
public:
  restorer(store_nodes& nodes, const node::backup_reader& from, const restore_options& options)
      : nodes_{nodes}, from_{from}, options_{options} {}

  /// Rows that hang on a lease are a running node's, and neither in the way nor written over.
  struct difference {
    std::uint64_t same = 0, absent = 0, owned = 0;
    /// Without a lease: with another value, and those that the backup has not.
    std::uint64_t other = 0, foreign = 0;
    /// Of other.
    std::string example;
  };

  /// How the store is different from the backup.
  int compare(difference& out) {
    std::uint64_t there = 0, met = 0;
    for (const auto each : store::all_tables) {
      const std::string name{store::name(each)};
      if (is_derived(name))
        continue;
      if (const auto code = count(name, there); code != done)
        return code;
    }
    const auto code = walk("checking", false, [&](const json& operations, const std::vector<std::string>& values) {
      const auto reply = nodes_.call("/api/v1/store/batch", body_of(operations), true);
      return each_result(reply, operations.size(), [&](std::size_t i, const json& result) {
        const auto& found = at(result, {"found"});
        const bool owned = found.is_object() && found.contains("lease");
        met += found.is_object() && !owned;
        if (!found.is_object()) {
          ++out.absent;
        } else if (owned) {
          ++out.owned;
        } else if (at(found, {"value_base64"}) == json(values[i])) {
          ++out.same;
        } else if (out.other++ == 0) {
          out.example = "table " + cell(at(operations[i], {"table"})) + ", key (base64) " +
                        cell(at(operations[i], {"key_base64"}));
        }
        return done;
      });
    });
    // While others write, rows may come and go between the two counts.
    out.foreign = there - std::min(there, met);
    return code;
  }

  int write(std::uint64_t& written, std::uint64_t& refused) {
    return walk("restore", true, [&](const json& operations, const std::vector<std::string>&) {
      const auto reply = nodes_.call("/api/v1/store/batch", body_of(operations), true);
      return each_result(reply, operations.size(), [&](std::size_t i, const json& result) {
        const auto code = cell(at(result, {"code"}));
        if (code == "no_such_lease") {
          complain("a lease ran out before all that hangs on it was written; run it again");
          return failed;
        }
        const bool same = at(result, {"found", "value_base64"}) == at(operations[i], {"value_base64"});
        // One that hangs on a lease is a running node's.
        if (code == "ok" || same)
          ++written;
        else if (at(result, {"found", "lease"}).is_null())
          ++refused;
        return done;
      });
    });
  }

private:
  static std::string body_of(const json& operations) {
    return json{{"operations", operations}, {"encoding", "base64"}, {"timeout_ms", 5000}}.dump();
  }

  static int each_result(const store_nodes::reply& reply, std::size_t expected,
                         const std::function<int(std::size_t, const json&)>& use) {
    if (reply.status != 200)
      return complain_of(reply);
    const auto& results = list(at(reply.body, {"results"}));
    if (results.size() != expected) {
      complain("a node answers with " + std::to_string(results.size()) + " results to " + std::to_string(expected) +
               " operations");
      return failed;
    }
    for (std::size_t i = 0; i < results.size(); ++i)
      if (const auto code = use(i, results[i]); code != done)
        return code;
    return done;
  }

  int count(const std::string& table, std::uint64_t& total) {
    std::string continuation;
    do {
      const auto reply = nodes_.call("/api/v1/store/scan?table=" + table + "&encoding=base64" +
                                         (continuation.empty() ? "" : "&continuation=" + continuation),
                                     std::nullopt, true);
      if (reply.status != 200)
        return complain_of(reply);
      for (const auto& row : list(at(reply.body, {"entries"})))
        total += at(row, {"lease"}).is_null();
      const auto& next = at(reply.body, {"continuation"});
      continuation = next.is_string() ? next.get<std::string>() : std::string{};
      if (was_interrupted())
        return interrupted;
    } while (!continuation.empty());
    return done;
  }

  /// Gives all rows, in batches of operations with their values.
  int walk(const std::string& what, bool writes,
           const std::function<int(const json&, const std::vector<std::string>&)>& use) {
    progress shown{what};
    std::uint64_t rows = 0;
    const auto& manifest = from_.manifest();
    for (const auto& slot : manifest.slots) {
      int code = done;
      auto operations = json::array();
      std::vector<std::string> values;
      std::size_t bytes = 0;
      const auto flush = [&] {
        if (!operations.empty() && code == done)
          code = use(operations, values);
        rows += operations.size();
        operations = json::array();
        values.clear();
        bytes = 0;
        shown.say(slot.slot + 1, manifest.slot_count, rows);
        return code == done && !was_interrupted();
      };
      const auto read = from_.read(
          slot,
          [&](const node::backup_lease& lease) {
            if (writes)
              code = grant(lease);
            return code == done;
          },
          [&](const node::backup_row& row) {
            if (is_derived(row.table))
              return true;
            // What hangs on a lease goes with it: it must not take the place of a running node's row.
            const bool over = options_.overwrite && row.lease.empty();
            json one{{"operation", !writes ? "get"
                                   : over  ? "put"
                                           : "put-if-absent"},
                     {"table", row.table},
                     {"key_base64", row.key}};
            if (writes) {
              one["value_base64"] = row.value;
              if (!row.lease.empty())
                one["lease"] = row.lease;
            }
            bytes += row.key.size() + row.value.size();
            operations.push_back(std::move(one));
            values.push_back(row.value);
            return (operations.size() < batch_rows && bytes < batch_bytes) || flush();
          });
      if (!read) {
        complain(read.error());
        return failed;
      }
      if (code == done)
        (void)flush();
      if (was_interrupted())
        return interrupted;
      if (code != done)
        return code;
    }
    return done;
  }

  int grant(const node::backup_lease& lease) {
    const auto reply =
        nodes_.call("/api/v1/store/lease/grant", json{{"lease", lease.id}, {"ttl_ms", lease.ttl_ms}}.dump(), true);
    return reply.status == 200 ? done : complain_of(reply);
  }

  store_nodes& nodes_;
  const node::backup_reader& from_;
  const restore_options& options_;
};

} // namespace

int store_restore(const restore_options& options) {
  const auto from = node::backup_reader::open(options.directory);
  if (!from) {
    complain(from.error());
    return usage;
  }
  int code = done;
  store_options how;
  how.cluster = options.cluster;
  how.timeout_s = batch_patience_s;
  auto nodes = store_nodes::find(how, code);
  if (!nodes)
    return code;
  watch_signals();
  const auto& manifest = from->manifest();
  if (manifest.cluster != nodes->state().cluster && !options.any_cluster) {
    complain(options.directory + " is of cluster '" + manifest.cluster + "', not of '" + nodes->state().cluster +
             "'; --any-cluster restores it all the same");
    return usage;
  }
  restorer work{*nodes, *from, options};
  restorer::difference now;
  if (code = work.compare(now); code != done)
    return code;
  std::cerr << "glocal: the backup of " << manifest.created << " has " << now.same + now.absent + now.other + now.owned
            << " rows to restore: " << now.absent << " are not in the store, " << now.same << " are the same there, "
            << now.owned << " are there as rows of running nodes, " << now.other << " have another value; "
            << now.foreign << " other rows are in the store\n";
  if (now.other + now.foreign > 0 && !options.overwrite) {
    complain("the store is not empty" + (now.example.empty() ? "" : " (" + now.example + ")") +
             "; --overwrite writes the backup's rows over those there, and leaves the others");
    return failed;
  }
  if (options.dry_run)
    return done;
  std::uint64_t written = 0, refused = 0;
  if (code = work.write(written, refused); code != done) {
    complain("the restore broke off; what is written stays, and running it again goes on");
    return code;
  }
  std::cout << written << " rows are in the store as the backup has them\n";
  if (refused > 0) {
    complain(std::to_string(refused) + " rows came there meanwhile with another value, and stay");
    return partial;
  }
  return done;
}

} // namespace glocal::cli
