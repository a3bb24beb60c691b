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
