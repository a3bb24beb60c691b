#pragma once
// (place, 5-tuple) → index, both families: the exact-match stage proper. See cuckoo_table.hpp for how it works.
//
// IPv6 costs IPv4 nothing: each family has a table of its own, and a page of either costs memory only once it is used.
//
// Threading: one writer; find() and lookup() on any thread. Only the constructor allocates.

#include "dataplane/exact_match/cuckoo_table.hpp"

#include <span>

namespace glocal::dataplane {

/// Most keys one lookup takes.
inline constexpr std::size_t max_match_burst = 64;

class match_table {
public:
  struct result {
    /// `nothing` when the key is not there.
    std::uint32_t value = nothing;
    std::uint16_t note = 0;
  };
  static constexpr std::uint32_t nothing = 0xffff'ffff;

  /// Room for `capacity` keys of each family. @param seed keys the hash; not 0 in tests only.
  /// @throws std::bad_alloc when there is no memory for it.
  explicit match_table(std::size_t capacity, std::uint64_t seed = 0);

  /// Cost: one cache line, for every tenth key two.
  [[nodiscard]] result find(const match_key& key) const noexcept {
    const auto at = prepare(key);
    return find(at);
  }
  /// out[i] for keys[i]; the lines of all of them are on their way before the first is looked at.
  /// REQUIRES: keys.size() == out.size() <= max_match_burst.
  void lookup(std::span<const match_key> keys, std::span<result> out) const noexcept;

  // --- The writer's.
  /// False, and no change, when there is no room. REQUIRES: the key is not there; value != nothing.
  [[nodiscard]] bool insert(const match_key& key, std::uint32_t value, std::uint16_t note) noexcept;
  /// False if it was not there.
  bool erase(const match_key& key) noexcept;

  [[nodiscard]] std::size_t size() const noexcept { return v4_.size() + v6_.size(); }
  [[nodiscard]] std::uint64_t displaced() const noexcept { return v4_.displaced() + v6_.displaced(); }

private:
  /// A key, packed, and where it may stand.
  struct prepared {
    key_words_v6 words;
    cuckoo_table<3>::position v4;
    cuckoo_table<6>::position v6;
    bool is_v4 = true;
  };

  [[nodiscard]] prepared prepare(const match_key& key) const noexcept;
  [[nodiscard]] result find(const prepared& at) const noexcept;

  hash_secret secret_;
  cuckoo_table<3> v4_;
  cuckoo_table<6> v6_;
};

} // namespace glocal::dataplane
