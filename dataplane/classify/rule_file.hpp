#pragma once
// Rule lists on disk: what a classifier is built from, packed, so that a hundred million rules are read as fast as the
// disk gives them. The trees are built anew: a file can't make lookups go astray, whatever its bytes say.
//
// All numbers little-endian, all parts one after the other:
//   header      magic "GLOCRULE", version (u32), 0 (u32), rules, IPv4 slots, IPv6 slots, IPv4 templates, IPv6 templates
//               (u64 each), XXH3-64 of the header up to here
//   outcomes    of each rule: cookie (u64), action (u32), priority (u32); the rule's id is its place
//   templates   IPv4 (32 bytes each), IPv6 (64 bytes each)
//   slots       IPv4, IPv6: as in packed.hpp, with class 0, in the order of ids
//   checksum    XXH3-64 of all after the header, MiB by MiB, each seeded with the one before
//
// Threading: one file by one thread.

#include "dataplane/classify/rule_table.hpp"

#include <functional>
#include <string>

namespace glocal::dataplane {

struct rule_file_error {
  enum class code : std::uint8_t {
    not_read,
    not_written,
    not_a_rule_file,
    other_version,
    damaged,
    too_large,
    out_of_memory
  };

  code what = code::not_read;
  /// What to tell the user: which file, and why.
  std::string message;
};

/// Gives the next `size` bytes, or false where there are not that many.
using byte_source = std::function<bool(void* into, std::size_t size)>;

/// The rules of a file, ready to be built from. Every rule is checked as if it had been added.
[[nodiscard]] expected<forest_classifier::loader, rule_file_error> read_rules(const byte_source& from,
                                                                              const classifier_options& options = {});
[[nodiscard]] expected<forest_classifier::loader, rule_file_error> load_rules(const std::string& path,
                                                                              const classifier_options& options = {});

/// Writes beside `path` and renames: a crash leaves the old file or the new one. Ids are given anew, in the same order.
[[nodiscard]] expected<void, rule_file_error> save_rules(const rule_table& rules, const std::string& path);
[[nodiscard]] expected<void, rule_file_error> save_rules(const forest_classifier& rules, const std::string& path);

} // namespace glocal::dataplane
