#pragma once
// (place, 5-tuple) → index, both families: the exact-match stage proper. See cuckoo_table.hpp for how it works.
//
// IPv6 costs IPv4 nothing: each family has a table of its own, and a page of either costs memory only once it is used.
//
// Threading: one writer; find() and lookup() on any thread. Only the constructor allocates.

#include "dataplane/exact_match/cuckoo_table.hpp"

#include <algorithm>

namespace glocal::dataplane {

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

  /// A key, packed, and where it may stand.
  struct prepared {
    key_words_v6 words;
    cuckoo_table<3>::position v4;
    cuckoo_table<6>::position v6;
    bool is_v4 = true;
  };

  /// Cost: one cache line, for every tenth key two.
  [[nodiscard]] result find(const match_key& key) const noexcept { return find(prepare(key)); }
  /// The same in two steps, for bursts: the line of a prepared key is on its way.
  [[nodiscard]] prepared prepare(const match_key& key) const noexcept {
    prepared out;
    if (is_v4(key)) [[likely]]
      prepare(pack_v4(key), out);
    else {
      out.is_v4 = false;
      out.words = pack_v6(key);
      out.v6 = v6_.locate(hash_value(out.words, secret_));
      v6_.prefetch(out.v6);
    }
    return out;
  }
  void prepare(const key_words_v4& key, prepared& out) const noexcept {
    out.is_v4 = true;
    std::copy(key.begin(), key.end(), out.words.begin());
    out.v4 = v4_.locate(hash_value(key, secret_));
    v4_.prefetch(out.v4);
  }
  [[nodiscard]] result find(const prepared& at) const noexcept {
    if (at.is_v4) [[likely]] {
      cuckoo_table<3>::content found;
      if (v4_.find({at.words[0], at.words[1], at.words[2]}, at.v4, found))
        return {found.value, found.note};
    } else if (cuckoo_table<6>::content found; v6_.find(at.words, at.v6, found))
      return {found.value, found.note};
    return {};
  }

  // --- The writer's.
  /// False, and no change, when there is no room. REQUIRES: the key is not there; value != nothing.
  [[nodiscard]] bool insert(const match_key& key, std::uint32_t value, std::uint16_t note) noexcept;
  /// False if it was not there.
  bool erase(const match_key& key) noexcept;

  [[nodiscard]] std::size_t size() const noexcept { return v4_.size() + v6_.size(); }
  /// What IPv4 keys take, whether in use or not.
  [[nodiscard]] std::size_t bytes() const noexcept { return v4_.bytes(); }
  [[nodiscard]] std::uint64_t displaced() const noexcept { return v4_.displaced() + v6_.displaced(); }

private:
  hash_secret secret_;
  cuckoo_table<3> v4_;
  cuckoo_table<6> v6_;
};

} // namespace glocal::dataplane
