#pragma once
// A backup of a whole store as a directory (docs/formats.md):
//
//   manifest.json     format, cluster, number of slots, when, and per slot its file, revision and number of rows
//   slot-NNNN.jsonl   one slot at one moment: a line that says what it is, a line a lease, a line a row
//   SHA256SUMS        of all of these, as `sha256sum -c` reads it
//
// Written beside as NAME.partial, synced, and renamed when it is whole: a directory under its own name is complete.
// Reading trusts nothing: checksums first, and every line is bounded. Threading: one thread.

#include "base/expected.hpp"
#include "store/types.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace glocal::node {

/// What this program writes, and the newest it reads.
inline constexpr std::uint64_t backup_format = 1;

struct backup_slot {
  std::uint64_t slot = 0, revision = 0, entries = 0, leases = 0, bytes = 0;
  std::string file;

  bool operator==(const backup_slot&) const = default;
};
struct backup_manifest {
  std::uint64_t format = backup_format;
  std::string cluster;
  std::uint64_t slot_count = 0;
  /// UTC, ISO 8601.
  std::string created, version;
  std::vector<backup_slot> slots;

  [[nodiscard]] std::uint64_t entries() const;
  bool operator==(const backup_manifest&) const = default;
};

class backup_writer {
public:
  /// @error what is in the way, for people: something is at `directory` that is no empty directory, or a disk's error.
  [[nodiscard]] static expected<backup_writer, std::string> create(const std::filesystem::path& directory,
                                                                   backup_manifest head);
  /// Removes what was written, unless it is finished.
  ~backup_writer();
  backup_writer(backup_writer&& other) noexcept;
  backup_writer& operator=(backup_writer&&) = delete;

  /// @param text as GET /api/v1/store/slot gives it. @error it is not of `slot` or not whole; a disk's error.
  [[nodiscard]] expected<backup_slot, std::string> add(std::uint64_t slot, std::string_view text);
  /// REQUIRES: every slot was added. @error a disk's.
  [[nodiscard]] expected<backup_manifest, std::string> finish();

private:
  backup_writer(std::filesystem::path directory, std::filesystem::path partial, backup_manifest head)
      : directory_{std::move(directory)}, partial_{std::move(partial)}, manifest_{std::move(head)} {}

  std::filesystem::path directory_, partial_;
  backup_manifest manifest_;
  std::string sums_;
};

struct backup_row {
  std::string table;
  /// base64, as the file has them.
  std::string key, value;
  /// Empty: none.
  std::string lease;
};
struct backup_lease {
  std::string id;
  std::uint64_t ttl_ms = 0;
};

class backup_reader {
public:
  /// Reads the manifest and checks every file against its checksum. @error what is wrong with it, for people: no
  /// backup, one that a newer program wrote, a file that is missing, damaged or not named.
  [[nodiscard]] static expected<backup_reader, std::string> open(const std::filesystem::path& directory);

  [[nodiscard]] const backup_manifest& manifest() const noexcept { return manifest_; }
  /// Gives the leases, then the rows of a slot; false from a callback ends it. @error a line that is not what it
  /// should be.
  [[nodiscard]] expected<void, std::string> read(const backup_slot& slot,
                                                 const std::function<bool(const backup_lease&)>& on_lease,
                                                 const std::function<bool(const backup_row&)>& on_row) const;

private:
  backup_reader(std::filesystem::path directory, backup_manifest manifest)
      : directory_{std::move(directory)}, manifest_{std::move(manifest)} {}

  std::filesystem::path directory_;
  backup_manifest manifest_;
};

} // namespace glocal::node
