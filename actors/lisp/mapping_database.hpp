#pragma once
// A node's copy of table `mappings`, as a Map-Server asks it: by longest prefix, with registrations of one EID merged.
//
// Invariants: what find() and longest() return holds at least one contribution and lives until the next put() or
// erase(). Threading: one owner. Memory: about 700 B a prefix.
// Sources: RFC 9301 sections 5.5 and 8.2.

#include "actors/model/model.hpp"
#include "dataplane/lisp/mapping_record.hpp"
#include "store/types.hpp"

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace glocal::lisp {

struct instance_prefix {
  std::uint32_t instance_id = 0;
  ip_prefix prefix;
  auto operator<=>(const instance_prefix&) const = default;
};

/// One entry of the table.
struct contribution {
  std::string key;
  store::revision version = 0;
  store::lease_id lease = 0;
  model::eid_mapping mapping;
  mapping_record record;

  /// Whether the Map-Server was asked to answer for it; of our own edges it always is.
  [[nodiscard]] bool proxied() const noexcept { return !mapping.registration || mapping.registration->proxy_reply; }
};

struct mapped_eid {
  /// Of all contributions.
  mapping_record record;
  std::vector<contribution> from;
};

class mapping_database {
public:
  /// @param edge_ttl_minutes of records of our own edges' mappings.
  explicit mapping_database(std::uint32_t edge_ttl_minutes) : edge_ttl_minutes_{edge_ttl_minutes} {}

  /// Takes over a committed entry. @return the EID when its answer is another now. An entry that can't be read is
  /// taken as absent and counted.
  std::optional<instance_prefix> put(const store::entry& row);
  std::optional<instance_prefix> erase(const std::string& key);

  [[nodiscard]] const mapped_eid* find(const instance_prefix& eid) const;
  [[nodiscard]] const contribution* find_key(const std::string& key) const;
  struct match {
    ip_prefix prefix;
    const mapped_eid* eid = nullptr;
  };
  /// The longest prefix that holds all of `wanted`.
  [[nodiscard]] std::optional<match> longest(const instance_prefix& wanted) const;
  /// What lies inside `wanted`, at most `limit`, in order; `wanted` itself is not.
  [[nodiscard]] std::vector<match> inside(const instance_prefix& wanted, std::size_t limit) const;
  /// What stands before and after `wanted` in order and does not hold it: enough for holes (dataplane/lisp/negative).
  [[nodiscard]] std::vector<ip_prefix> neighbours(const instance_prefix& wanted) const;

  /// The highest nonce `registrant` of `site` is known to have used; 0 when none.
  [[nodiscard]] std::uint64_t last_nonce(std::string_view site, std::string_view registrant) const;
  /// It has used this one now, for what changed nothing in the table.
  void note_nonce(std::string_view site, std::string_view registrant, std::uint64_t nonce);

  [[nodiscard]] std::size_t size() const noexcept { return keys_.size(); }
  [[nodiscard]] std::uint64_t unreadable() const noexcept { return unreadable_; }

private:
  struct family_table {
    std::map<ip_prefix, mapped_eid> eids;
    /// How many there are of each length.
    std::array<std::uint32_t, 129> lengths{};
  };
  using instance_table = std::array<family_table, 2>;

  [[nodiscard]] const family_table* table_of(const instance_prefix& eid) const;
  static void remerge(mapped_eid& eid);

  std::uint32_t edge_ttl_minutes_;
  std::map<std::uint32_t, instance_table> instances_;
  std::unordered_map<std::string, instance_prefix> keys_;
  std::map<std::string, std::uint64_t, std::less<>> nonces_;
  std::uint64_t unreadable_ = 0;
};

/// One record of all: the locators of all of them, each once, the later one's word on priority and weight, the longest
/// TTL. REQUIRES: not empty.
[[nodiscard]] mapping_record merge_records(const std::vector<const mapping_record*>& records);

/// A record to and from the bytes that table `mappings` keeps.
[[nodiscard]] std::string pack_record(const mapping_record& record);
[[nodiscard]] std::optional<mapping_record> unpack_record(std::string_view packed);

} // namespace glocal::lisp
