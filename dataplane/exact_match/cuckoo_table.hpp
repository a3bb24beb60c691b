#pragma once
// From key to index: a cuckoo hash table of two candidate buckets of two keys each, the keys in the buckets.
//
// A bucket of IPv4 keys is one cache line: a hit in its first bucket reads one line, and so does a miss unless a key of
// that bucket had to go to its second one (the bucket counts those). IPv6 keys have two lines a bucket, the second read
// only when the first does not match. Inserting displaces keys along the shortest way to a vacancy, at most
// `max_displacements` deep, and is refused when there is none: at the load capacity implies that takes more than
// chance.
//
// Invariants: a key is in one of its two buckets, at most once between two calls; the header of a bucket counts the
// keys whose first bucket it is and that are in their second. Threading: one writer; any number of readers without
// locks. A bucket's header carries a version that is odd while the bucket changes; a reader that sees it change looks
// again. A key on its way between its buckets stands in both for a moment, and is never in none. All accesses are
// atomic words, so ThreadSanitizer can check it. Sources: Pagh and Rodler, "Cuckoo Hashing"; Dietzfelbinger and
// Weidling 2007 (two choices, buckets of two: threshold 0.897); Fan et al., "MemC3", NSDI 2013 (versions and
// breadth-first displacement).

#include "dataplane/classify/huge_memory.hpp"
#include "dataplane/exact_match/match_key.hpp"

#include <atomic>

namespace glocal::dataplane {

template <std::size_t Words>
class cuckoo_table {
public:
  /// What stands beside a key: an index of the caller's and 16 bits more.
  struct content {
    std::uint32_t value = 0;
    std::uint16_t note = 0;

    bool operator==(const content&) const = default;
  };
  /// Where a key may stand.
  struct position {
    std::uint32_t first = 0, second = 0;
  };

  /// Longest chain of keys moved by one insert: 2 * 2^6 buckets are looked at before.
  static constexpr unsigned max_displacements = 6;

  cuckoo_table() = default;

  /// Room for `capacity` keys at a load of at most 0.8; false when there is no memory for it. Once.
  [[nodiscard]] bool reserve(std::size_t capacity) noexcept;

  [[nodiscard]] position locate(std::uint64_t hash) const noexcept {
    const auto count = std::uint64_t{bucket_count_};
    position out;
    out.first = static_cast<std::uint32_t>((hash & 0xffff'ffffu) * count >> 32);
    out.second = static_cast<std::uint32_t>((hash >> 32) * count >> 32);
    if (out.second == out.first)
      out.second = out.first + 1 == bucket_count_ ? 0 : out.first + 1;
    return out;
  }
  void prefetch(const position& at) const noexcept { __builtin_prefetch(&buckets_[at.first]); }

  /// False if the key is not there. Any thread.
  [[nodiscard]] bool find(const key_words<Words>& key, const position& at, content& out) const noexcept;

  // --- The writer's.
  /// False, and no change, when there is no way to a vacancy. REQUIRES: the key is not there.
  [[nodiscard]] bool insert(key_words<Words> key, std::uint64_t hash, content with, const hash_secret& secret) noexcept;
  /// False if the key was not there.
  bool erase(const key_words<Words>& key, std::uint64_t hash) noexcept;

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t slots() const noexcept { return std::size_t{bucket_count_} * slots_per_bucket; }
  /// Keys moved by inserts since the start.
  [[nodiscard]] std::uint64_t displaced() const noexcept { return displaced_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return memory_.size(); }

private:
  static constexpr std::size_t slots_per_bucket = 2;
  static constexpr std::uint32_t odd = 1;
  /// In the header, above the version.
  static constexpr std::uint64_t one_elsewhere = std::uint64_t{1} << 32;

  using word = std::atomic<std::uint64_t>;
  struct alignas(64) bucket {
    /// Version 32 | keys in their second bucket 32, from the low end.
    word header{0};
    /// Values of both slots, 32 bits each.
    word values{0};
    word keys[slots_per_bucket][Words]{};
  };
  static_assert(sizeof(bucket) == (Words == 3 ? 64 : 128));

  struct slot {
    std::uint32_t bucket = 0, index = 0;
  };
  /// A bucket on a way to a vacancy: the key of `from` would move here.
  struct step {
    std::uint32_t bucket = 0;
    slot from;
    std::int32_t before = -1;
  };

  static bool matches(const word* stored, const key_words<Words>& key, std::uint64_t& last) noexcept {
    last = stored[Words - 1].load(std::memory_order_acquire);
    auto difference = (last & ~key_word::note_mask) ^ key[Words - 1];
    for (std::size_t i = 0; i + 1 < Words; ++i)
      difference |= stored[i].load(std::memory_order_acquire) ^ key[i];
    return difference == 0;
  }
  static bool look_in(const bucket& in, const key_words<Words>& key, content& out) noexcept {
    for (std::size_t i = 0; i < slots_per_bucket; ++i)
      if (std::uint64_t last; matches(in.keys[i], key, last)) {
        out.value = static_cast<std::uint32_t>(in.values.load(std::memory_order_acquire) >> (32 * i));
        out.note = static_cast<std::uint16_t>(last >> key_word::note_shift);
        return true;
      }
    return false;
  }
  static std::uint32_t vacant_in(const bucket& in) noexcept {
    std::uint32_t i = 0;
    while (i < slots_per_bucket && in.keys[i][Words - 1].load(std::memory_order_relaxed) != 0)
      ++i;
    return i;
  }

  [[nodiscard]] key_words<Words> key_at(slot at) const noexcept {
    key_words<Words> out;
    for (std::size_t i = 0; i < Words; ++i)
      out[i] = buckets_[at.bucket].keys[at.index][i].load(std::memory_order_relaxed);
    return out;
  }
  [[nodiscard]] std::uint32_t value_at(slot at) const noexcept {
    return static_cast<std::uint32_t>(buckets_[at.bucket].values.load(std::memory_order_relaxed) >> (32 * at.index));
  }
  /// Changes a bucket under an odd version; `elsewhere` is added to its count.
  template <class Change>
  static void change(bucket& in, std::int64_t elsewhere, Change&& how) noexcept;
  void write(slot at, const key_words<Words>& key, std::uint32_t value, std::int64_t elsewhere) noexcept;
  void clear(slot at, std::int64_t elsewhere) noexcept;
  void move(slot from, slot to, const hash_secret& secret) noexcept;
  [[nodiscard]] bool make_room(const position& at, slot& out, const hash_secret& secret) noexcept;

  huge_memory memory_;
  bucket* buckets_ = nullptr;
  std::uint32_t bucket_count_ = 0;
  std::size_t size_ = 0;
  std::uint64_t displaced_ = 0;
};

template <std::size_t Words>
inline bool cuckoo_table<Words>::find(const key_words<Words>& key, const position& at, content& out) const noexcept {
  const auto& first = buckets_[at.first];
  for (;;) {
    const auto header = first.header.load(std::memory_order_acquire);
    if ((header & odd) != 0) [[unlikely]] {
      __builtin_ia32_pause();
      continue;
    }
    const bool is_here = look_in(first, key, out);
    if (!is_here && header < one_elsewhere) {
      if (first.header.load(std::memory_order_relaxed) == header) [[likely]]
        return false;
      continue;
    }
    if (is_here) {
      if (first.header.load(std::memory_order_relaxed) == header) [[likely]]
        return true;
      continue;
    }
    const auto& second = buckets_[at.second];
    const auto other = second.header.load(std::memory_order_acquire);
    const bool is_there = look_in(second, key, out);
    // Moving home changes the first bucket, so that unchanged both were seen at one moment.
    if ((other & odd) == 0 && second.header.load(std::memory_order_acquire) == other &&
        first.header.load(std::memory_order_relaxed) == header) [[likely]]
      return is_there;
  }
}

extern template class cuckoo_table<3>;
extern template class cuckoo_table<6>;

} // namespace glocal::dataplane
