#include "store/rocksdb_engine.hpp"

#include "base/bytes.hpp"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <chrono>
#include <cstring>
#include <string>

namespace glocal::store {
namespace {

// Layout (docs/formats.md). All numbers big-endian, so that byte order is numeric order.
//   0xff "format"                      → u32 format, u16 slot count, cluster name, u64 incarnation
//   0xff "log"                         → (empty) a log was begun beside this directory
//   slot u16, 0x00                     → u64 index, u64 epoch, u64 log index
//   slot u16, 0x01, lease u64          → u64 ttl in milliseconds, u64 version
//   slot u16, 0x02, table u8, key      → u64 version, u64 lease, value
constexpr std::uint32_t format_version = 2;
const std::string format_key = "\xff"
                               "format";
const std::string log_key = "\xff"
                            "log";
enum class record_type : std::uint8_t { index = 0, lease = 1, entry = 2 };
constexpr std::size_t entry_header_bytes = 16;
/// Slots are below limits::slots, so no slot's key starts with the 0xff of format_key.
static_assert(limits::slots <= 0xff00);

/// State lives in the memory of the slots; the cache serves start-up and scans only.
constexpr std::size_t block_cache_bytes = std::size_t{8} << 20;
/// More than is applied between two flushes, so that they are the only ones.
constexpr std::size_t write_buffer_bytes = std::size_t{64} << 20;
/// RocksDB's own log files grow without bound otherwise.
constexpr std::size_t max_info_log_bytes = std::size_t{1} << 20;

template <class Int>
void append_be(std::string& out, Int value) {
  std::byte raw[sizeof value];
  store_be(raw, value);
  out.append(reinterpret_cast<const char*>(raw), sizeof raw);
}

template <class Int>
Int read_be(std::string_view in) {
  return load_be<Int>(reinterpret_cast<const std::byte*>(in.data()));
}

std::string record_key(slot_id slot, record_type type) {
  std::string out;
  append_be(out, slot);
  out += static_cast<char>(type);
  return out;
}

std::string lease_key(slot_id slot, lease_id lease) {
  auto out = record_key(slot, record_type::lease);
  append_be(out, lease);
  return out;
}

std::string entry_key(slot_id slot, table in, std::string_view key) {
  auto out = record_key(slot, record_type::entry);
  out += static_cast<char>(in);
  return out += key;
}

std::string entry_value(const entry& row) {
  std::string out;
  out.reserve(entry_header_bytes + row.value.size());
  append_be(out, row.version);
  append_be(out, row.lease);
  return out += row.value;
}

std::string u64_text(std::uint64_t value) {
  std::string out;
  append_be(out, value);
  return out;
}

std::string identity_text(const engine_identity& identity, std::uint64_t incarnation) {
  std::string out;
  append_be(out, format_version);
  append_be(out, identity.slot_count);
  out += identity.cluster;
  append_be(out, incarnation);
  return out;
}

std::string position_text(revision index, const log_position& at) {
  std::string out;
  append_be(out, index);
  append_be(out, at.epoch);
  append_be(out, at.index);
  return out;
}

/// Key after slot and type: table, then the entry's key.
std::optional<entry> read_entry(std::string_view key, std::string_view value) {
  if (key.size() < 4 || value.size() < entry_header_bytes)
    return std::nullopt;
  return entry{static_cast<table>(key[3]), std::string{key.substr(4)}, std::string{value.substr(entry_header_bytes)},
               read_be<std::uint64_t>(value), read_be<std::uint64_t>(value.substr(8))};
}

std::string_view view(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

class rocksdb_engine final : public engine {
public:
  rocksdb_engine(std::unique_ptr<rocksdb::DB> db, std::string directory, std::uint64_t incarnation)
      : db_{std::move(db)}, directory_{std::move(directory)}, incarnation_{incarnation} {}

  expected<void, engine_failure> write(std::span<const slot_write> writes, bool sync) override {
    rocksdb::WriteOptions options;
    options.sync = sync;
    return write(writes, options);
  }

  expected<void, engine_failure> apply(std::span<const slot_write> writes) override {
    return write(writes, without_log());
  }

  expected<void, engine_failure> flush() override {
    if (const auto status = db_->Flush({}); !status.ok())
      return unexpected{failure("can't write", status)};
    return {};
  }

  expected<void, engine_failure> replace(slot_id slot, const slot_image& image) override {
    rocksdb::WriteBatch all;
    all.DeleteRange(record_key(slot, record_type::index),
                    record_key(static_cast<slot_id>(slot + 1), record_type::index));
    for (const auto& row : image.entries)
      add(all, slot, put_entry{row});
    for (const auto& lease : image.leases)
      add(all, slot, put_lease{lease});
    all.Put(record_key(slot, record_type::index), position_text(image.index, image.at));
    if (const auto status = db_->Write(without_log(), &all); !status.ok())
      return unexpected{failure("can't write", status)};
    return {};
  }

  std::uint64_t incarnation() const override { return incarnation_; }

  expected<bool, engine_failure> has_log() override {
    std::string found;
    const auto status = db_->Get({}, log_key, &found);
    if (!status.ok() && !status.IsNotFound())
      return unexpected{failure("can't read", status)};
    return status.ok();
  }

  expected<void, engine_failure> note_log() override {
    rocksdb::WriteOptions synced;
    synced.sync = true;
    if (const auto status = db_->Put(synced, log_key, ""); !status.ok())
      return unexpected{failure("can't write", status)};
    return {};
  }

  expected<slot_image, engine_failure> load(slot_id slot) override {
    slot_image image;
    rocksdb::ReadOptions options;
    options.total_order_seek = true;
    const std::unique_ptr<rocksdb::Iterator> at{db_->NewIterator(options)};
    const auto prefix = record_key(slot, record_type::index).substr(0, 2);
    for (at->Seek(prefix); at->Valid() && at->key().starts_with(prefix); at->Next())
      if (!read(view(at->key()), view(at->value()), image))
        return unexpected{engine_failure{"The store's directory " + directory_ + " holds a damaged record in slot " +
                                         std::to_string(slot) +
                                         ". Restore it from a copy, or remove it to start empty."}};
    if (!at->status().ok())
      return unexpected{failure("can't read", at->status())};
    return image;
  }

  expected<std::vector<entry>, engine_failure> scan(slot_id slot, table from, std::string_view prefix,
                                                    std::string_view after, std::size_t limit) override {
    const auto wanted = entry_key(slot, from, prefix);
    const auto start = after.empty() ? wanted : entry_key(slot, from, after);
    const std::unique_ptr<rocksdb::Iterator> at{db_->NewIterator({})};
    std::vector<entry> out;
    for (at->Seek(start); at->Valid() && at->key().starts_with(wanted) && out.size() < limit; at->Next()) {
      if (!after.empty() && view(at->key()) == start)
        continue;
      if (auto row = read_entry(view(at->key()), view(at->value())))
        out.push_back(std::move(*row));
    }
    if (!at->status().ok())
      return unexpected{failure("can't read", at->status())};
    return out;
  }

private:
  /// The segment log is the log; RocksDB's own would write everything twice.
  static rocksdb::WriteOptions without_log() {
    rocksdb::WriteOptions options;
    options.disableWAL = true;
    return options;
  }

  expected<void, engine_failure> write(std::span<const slot_write> writes, const rocksdb::WriteOptions& options) {
    rocksdb::WriteBatch all;
    for (const auto& write : writes) {
      for (const auto& change : write.mutations)
        std::visit([&](const auto& concrete) { add(all, write.slot, concrete); }, change);
      all.Put(record_key(write.slot, record_type::index), position_text(write.index, write.at));
    }
    if (const auto status = db_->Write(options, &all); !status.ok())
      return unexpected{failure("can't write", status)};
    return {};
  }

  static void add(rocksdb::WriteBatch& out, slot_id slot, const put_entry& change) {
    out.Put(entry_key(slot, change.entry.table, change.entry.key), entry_value(change.entry));
  }
  static void add(rocksdb::WriteBatch& out, slot_id slot, const erase_entry& change) {
    out.Delete(entry_key(slot, change.table, change.key));
  }
  static void add(rocksdb::WriteBatch& out, slot_id slot, const put_lease& change) {
    out.Put(lease_key(slot, change.lease.id),
            u64_text(static_cast<std::uint64_t>(change.lease.ttl.count())) + u64_text(change.lease.version));
  }
  static void add(rocksdb::WriteBatch& out, slot_id slot, const erase_lease& change) {
    out.Delete(lease_key(slot, change.id));
  }

  static bool read(std::string_view key, std::string_view value, slot_image& image) {
    if (key.size() < 3)
      return false;
    switch (static_cast<record_type>(key[2])) {
    case record_type::index:
      if (key.size() != 3 || value.size() != 24)
        return false;
      image.index = read_be<std::uint64_t>(value);
      image.at = {read_be<std::uint64_t>(value.substr(8)), read_be<std::uint64_t>(value.substr(16))};
      return true;
    case record_type::lease:
      if (key.size() != 11 || value.size() != 16)
        return false;
      image.leases.push_back({read_be<std::uint64_t>(key.substr(3)),
                              std::chrono::milliseconds{static_cast<std::int64_t>(read_be<std::uint64_t>(value))},
                              read_be<std::uint64_t>(value.substr(8))});
      return true;
    case record_type::entry: {
      auto row = read_entry(key, value);
      if (!row || row->table < table::catalogue || row->table > last_table)
        return false;
      image.entries.push_back(std::move(*row));
      return true;
    }
    }
    return false;
  }

  [[nodiscard]] engine_failure failure(const std::string& what, const rocksdb::Status& status) const {
    return {"The store " + what + " its directory " + directory_ + ": " + status.ToString()};
  }

  std::unique_ptr<rocksdb::DB> db_;
  std::string directory_;
  std::uint64_t incarnation_;
};

rocksdb::Options make_options() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.write_buffer_size = write_buffer_bytes;
  options.max_log_file_size = max_info_log_bytes;
  options.keep_log_file_num = 2;
  // Statistics dumps are timers; an idle node has none that it does not need.
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(block_cache_bytes);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

/// What is wrong with the identity found; empty when nothing is.
std::string compare(const std::string& directory, std::string_view found, const engine_identity& wanted) {
  const auto advice = " Give this node a directory of its own, or remove that one if its contents are not needed.";
  if (found.size() >= 4 && read_be<std::uint32_t>(found) < format_version)
    return "The store's directory " + directory + " has format " + std::to_string(read_be<std::uint32_t>(found)) +
           ", of a store that kept one copy of each slot; this program can't take it over." + advice;
  if (found.size() < 14)
    return "The store's directory " + directory + " has a damaged format record." + advice;
  const auto format = read_be<std::uint32_t>(found);
  if (format > format_version)
    return "The store's directory " + directory + " has format " + std::to_string(format) +
           ", newer than this program's " + std::to_string(format_version) + ". Run the newer program.";
  const auto cluster = found.substr(6, found.size() - 14);
  if (cluster != wanted.cluster)
    return "The store's directory " + directory + " belongs to cluster '" + std::string{cluster} + "', not to '" +
           wanted.cluster + "'." + advice;
  const auto slots = read_be<std::uint16_t>(found.substr(4));
  if (slots != wanted.slot_count)
    return "The store's directory " + directory + " was made for " + std::to_string(slots) +
           " slots, the cluster has " + std::to_string(wanted.slot_count) + "; the number of slots can't change." +
           advice;
  return {};
}

} // namespace

expected<std::unique_ptr<engine>, engine_failure> open_rocksdb(const std::filesystem::path& directory,
                                                               const engine_identity& identity) {
  std::error_code fault;
  std::filesystem::create_directories(directory, fault);
  if (fault)
    return unexpected{
        engine_failure{"Can't make the store's directory " + directory.string() + ": " + fault.message()}};
  rocksdb::DB* raw = nullptr;
  const auto status = rocksdb::DB::Open(make_options(), directory.string(), &raw);
  if (!status.ok())
    return unexpected{engine_failure{"Can't open the store's directory " + directory.string() + ": " +
                                     status.ToString() + (status.IsIOError() ? " Is another process using it?" : "")}};
  std::unique_ptr<rocksdb::DB> db{raw};

  auto incarnation = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count());
  std::string found;
  const auto lookup = db->Get({}, format_key, &found);
  if (lookup.IsNotFound()) {
    rocksdb::WriteOptions synced;
    synced.sync = true;
    if (const auto written = db->Put(synced, format_key, identity_text(identity, incarnation)); !written.ok())
      return unexpected{
          engine_failure{"Can't write to the store's directory " + directory.string() + ": " + written.ToString()}};
  } else if (!lookup.ok()) {
    return unexpected{
        engine_failure{"Can't read the store's directory " + directory.string() + ": " + lookup.ToString()}};
  } else if (auto problem = compare(directory.string(), found, identity); !problem.empty()) {
    return unexpected{engine_failure{std::move(problem)}};
  } else {
    incarnation = read_be<std::uint64_t>(std::string_view{found}.substr(found.size() - 8));
  }
  return std::unique_ptr<engine>{std::make_unique<rocksdb_engine>(std::move(db), directory.string(), incarnation)};
}

} // namespace glocal::store
