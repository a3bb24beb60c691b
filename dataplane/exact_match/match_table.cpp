#include "dataplane/exact_match/match_table.hpp"

#include <new>
#include <random>

namespace glocal::dataplane {
namespace {

std::uint64_t draw_seed() {
  std::random_device source;
  return std::uint64_t{source()} << 32 | source();
}

} // namespace

match_table::match_table(std::size_t capacity, std::uint64_t seed)
    : secret_{hash_secret::from(seed != 0 ? seed : draw_seed())} {
  if (!v4_.reserve(capacity) || !v6_.reserve(capacity))
    throw std::bad_alloc{};
}

match_table::prepared match_table::prepare(const match_key& key) const noexcept {
  prepared out;
  out.is_v4 = is_v4(key);
  if (out.is_v4) [[likely]] {
    const auto words = pack_v4(key);
    std::copy(words.begin(), words.end(), out.words.begin());
    out.v4 = v4_.locate(hash_value(words, secret_));
  } else {
    out.words = pack_v6(key);
    out.v6 = v6_.locate(hash_value(out.words, secret_));
  }
  return out;
}

match_table::result match_table::find(const prepared& at) const noexcept {
  if (at.is_v4) [[likely]] {
    cuckoo_table<3>::content found;
    if (v4_.find({at.words[0], at.words[1], at.words[2]}, at.v4, found))
      return {found.value, found.note};
  } else if (cuckoo_table<6>::content found; v6_.find(at.words, at.v6, found))
    return {found.value, found.note};
  return {};
}

void match_table::lookup(std::span<const match_key> keys, std::span<result> out) const noexcept {
  std::array<prepared, max_match_burst> burst;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    burst[i] = prepare(keys[i]);
    if (burst[i].is_v4)
      v4_.prefetch(burst[i].v4);
    else
      v6_.prefetch(burst[i].v6);
  }
  for (std::size_t i = 0; i < keys.size(); ++i)
    out[i] = find(burst[i]);
}

bool match_table::insert(const match_key& key, std::uint32_t value, std::uint16_t note) noexcept {
  if (is_v4(key)) {
    const auto words = pack_v4(key);
    return v4_.insert(words, hash_value(words, secret_), {value, note}, secret_);
  }
  const auto words = pack_v6(key);
  return v6_.insert(words, hash_value(words, secret_), {value, note}, secret_);
}

bool match_table::erase(const match_key& key) noexcept {
  if (is_v4(key)) {
    const auto words = pack_v4(key);
    return v4_.erase(words, hash_value(words, secret_));
  }
  const auto words = pack_v6(key);
  return v6_.erase(words, hash_value(words, secret_));
}

} // namespace glocal::dataplane
