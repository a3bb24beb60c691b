#include "dataplane/exact_match/cuckoo_table.hpp"

#include <algorithm>
#include <limits>
#include <new>

namespace glocal::dataplane {
namespace {

/// Keys per slot that are filled without trouble: well under the threshold of 0.897, where the ways to a vacancy are
/// short and nine of ten keys of a table that is not full stand in their first bucket.
constexpr double highest_load = 0.8;

} // namespace

template <std::size_t Words>
bool cuckoo_table<Words>::reserve(std::size_t capacity) noexcept {
  const auto wanted = static_cast<std::size_t>(static_cast<double>(capacity) / highest_load / slots_per_bucket) + 2;
  if (buckets_ != nullptr || wanted > std::numeric_limits<std::uint32_t>::max())
    return false;
  auto memory = huge_memory::reserve(wanted * sizeof(bucket));
  if (!memory || !memory->grow(wanted * sizeof(bucket)))
    return false;
  memory_ = std::move(*memory);
  // Zero is a bucket's first state, and the kernel's: pages nobody needs are not touched.
  buckets_ = std::launder(reinterpret_cast<bucket*>(memory_.data()));
  bucket_count_ = static_cast<std::uint32_t>(wanted);
  return true;
}

template <std::size_t Words>
template <class Change>
void cuckoo_table<Words>::change(bucket& in, std::int64_t elsewhere, Change&& how) noexcept {
  const auto before = in.header.load(std::memory_order_relaxed);
  const auto version = static_cast<std::uint32_t>(before);
  const auto count = (before >> 32) + static_cast<std::uint64_t>(elsewhere);
  in.header.store((before & ~std::uint64_t{0xffff'ffff}) | (version + 1), std::memory_order_relaxed);
  how(); // by release stores: none of them is seen before the odd version
  in.header.store(count << 32 | static_cast<std::uint32_t>(version + 2), std::memory_order_release);
}

template <std::size_t Words>
void cuckoo_table<Words>::write(slot at, const key_words<Words>& key, std::uint32_t value,
                                std::int64_t elsewhere) noexcept {
  auto& in = buckets_[at.bucket];
  change(in, elsewhere, [&] {
    const auto shift = 32 * at.index;
    const auto others = in.values.load(std::memory_order_relaxed) & ~(std::uint64_t{0xffff'ffff} << shift);
    in.values.store(others | std::uint64_t{value} << shift, std::memory_order_release);
    for (std::size_t i = 0; i < Words; ++i)
      in.keys[at.index][i].store(key[i], std::memory_order_release);
  });
}

template <std::size_t Words>
void cuckoo_table<Words>::clear(slot at, std::int64_t elsewhere) noexcept {
  auto& in = buckets_[at.bucket];
  change(in, elsewhere, [&] { in.keys[at.index][Words - 1].store(0, std::memory_order_release); });
}

template <std::size_t Words>
void cuckoo_table<Words>::move(slot from, slot to, const hash_secret& secret) noexcept {
  const auto key = key_at(from);
  const auto home = locate(hash_value(key, secret)).first;
  // Its new place first: between the two it is in both.
  write(to, key, value_at(from), home == to.bucket ? -1 : 0);
  clear(from, home == from.bucket ? 1 : 0);
  ++displaced_;
}

/// Breadth first, so that the way found is a shortest one; then the moves are done from its end.
template <std::size_t Words>
bool cuckoo_table<Words>::make_room(const position& at, slot& out, const hash_secret& secret) noexcept {
  static constexpr std::size_t max_steps = std::size_t{4} << max_displacements;
  std::array<step, max_steps> queue;
  std::size_t end = 0;
  queue[end++] = {at.first, {}, -1};
  queue[end++] = {at.second, {}, -1};
  const auto is_on_way = [&](std::int32_t from, std::uint32_t bucket) {
    for (; from >= 0; from = queue[static_cast<std::size_t>(from)].before)
      if (queue[static_cast<std::size_t>(from)].bucket == bucket)
        return true;
    return false;
  };
  for (std::size_t next = 0; next < end; ++next) {
    const auto here = queue[next].bucket;
    if (const auto vacant = vacant_in(buckets_[here]); vacant < slots_per_bucket) {
      slot to{here, vacant};
      for (auto on = static_cast<std::int32_t>(next); queue[static_cast<std::size_t>(on)].before >= 0;) {
        const auto& way = queue[static_cast<std::size_t>(on)];
        move(way.from, to, secret);
        to = way.from;
        on = way.before;
      }
      out = to;
      return true;
    }
    for (std::uint32_t i = 0; i < slots_per_bucket && end < max_steps; ++i) {
      const auto candidate = locate(hash_value(key_at({here, i}), secret));
      const auto other = candidate.first == here ? candidate.second : candidate.first;
      if (!is_on_way(static_cast<std::int32_t>(next), other)) // a way that crosses itself would move a key twice
        queue[end++] = {other, {here, i}, static_cast<std::int32_t>(next)};
    }
  }
  return false;
}

template <std::size_t Words>
bool cuckoo_table<Words>::insert(key_words<Words> key, std::uint64_t hash, content with,
                                 const hash_secret& secret) noexcept {
  key[Words - 1] = (key[Words - 1] & ~key_word::note_mask) | std::uint64_t{with.note} << key_word::note_shift;
  const auto at = locate(hash);
  slot target{at.first, vacant_in(buckets_[at.first])};
  if (target.index == slots_per_bucket)
    target = {at.second, vacant_in(buckets_[at.second])};
  if (target.index == slots_per_bucket && !make_room(at, target, secret))
    return false;
  write(target, key, with.value, 0);
  if (target.bucket != at.first)
    change(buckets_[at.first], 1, [] {});
  ++size_;
  return true;
}

template <std::size_t Words>
bool cuckoo_table<Words>::erase(const key_words<Words>& key, std::uint64_t hash) noexcept {
  const auto at = locate(hash);
  for (const auto bucket : {at.first, at.second})
    for (std::uint32_t i = 0; i < slots_per_bucket; ++i)
      if (std::uint64_t last; matches(buckets_[bucket].keys[i], key, last)) {
        clear({bucket, i}, 0);
        if (bucket != at.first)
          change(buckets_[at.first], -1, [] {});
        --size_;
        return true;
      }
  return false;
}

template class cuckoo_table<3>;
template class cuckoo_table<6>;

} // namespace glocal::dataplane
