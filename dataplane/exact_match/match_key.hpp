#pragma once
// What the exact-match stage looks up, in the words it stores and compares, and the keyed hash of those.
//
// A key is a *place* (one word whose meaning is the caller's: see dataplane/switch/place.hpp) and a 5-tuple. In memory
// an IPv4 key takes three words and an IPv6 key six; the last word ends with the family and a bit that says "in use",
// so that equality of words is all a lookup asks. The hash folds full products of words with secret ones (as wyhash
// does): who does not know the secret can't choose colliding tuples.
//
// Threading: pure functions.

#include "base/net.hpp"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace glocal::dataplane {

struct match_key {
  /// Where the packet came in.
  std::uint64_t where = 0;
  five_tuple tuple;

  bool operator==(const match_key&) const = default;
};

/// Last word, from its most significant end: ports 32 | protocol 8 | note 16 | family 7 | in use 1.
namespace key_word {
inline constexpr std::uint64_t in_use = 1;
inline constexpr unsigned note_shift = 8, protocol_shift = 24, ports_shift = 32;
inline constexpr std::uint64_t note_mask = std::uint64_t{0xffff} << note_shift;
} // namespace key_word

template <std::size_t Words>
using key_words = std::array<std::uint64_t, Words>;
using key_words_v4 = key_words<3>;
using key_words_v6 = key_words<6>;

/// True when the key is key_words_v4's; keys of mixed families, which no packet has, are key_words_v6's.
[[nodiscard]] inline bool is_v4(const match_key& key) noexcept {
  return key.tuple.source.is_v4() && key.tuple.destination.is_v4();
}

[[nodiscard]] inline std::uint64_t last_key_word(const five_tuple& tuple) noexcept {
  const auto families = std::uint64_t{tuple.source.is_v4()} << 1 | std::uint64_t{tuple.destination.is_v4()} << 2;
  return std::uint64_t{tuple.source_port} << (key_word::ports_shift + 16) |
         std::uint64_t{tuple.destination_port} << key_word::ports_shift |
         std::uint64_t{tuple.protocol} << key_word::protocol_shift | families | key_word::in_use;
}

/// REQUIRES: is_v4(key).
[[nodiscard]] inline key_words_v4 pack_v4(const match_key& key) noexcept {
  std::uint32_t source, destination;
  std::memcpy(&source, key.tuple.source.octets.data(), sizeof source);
  std::memcpy(&destination, key.tuple.destination.octets.data(), sizeof destination);
  return {key.where, std::uint64_t{source} << 32 | destination, last_key_word(key.tuple)};
}

/// The same key from values in host order.
[[nodiscard]] inline key_words_v4 pack_v4(std::uint64_t where, std::uint32_t source, std::uint32_t destination,
                                          std::uint16_t source_port, std::uint16_t destination_port,
                                          std::uint8_t protocol) noexcept {
  constexpr std::uint64_t families = 1u << 1 | 1u << 2;
  return {where, std::uint64_t{__builtin_bswap32(source)} << 32 | __builtin_bswap32(destination),
          std::uint64_t{source_port} << (key_word::ports_shift + 16) |
              std::uint64_t{destination_port} << key_word::ports_shift |
              std::uint64_t{protocol} << key_word::protocol_shift | families | key_word::in_use};
}
[[nodiscard]] inline key_words_v6 pack_v6(const match_key& key) noexcept {
  key_words_v6 out;
  out[0] = key.where;
  std::memcpy(&out[1], key.tuple.source.octets.data(), 16);
  std::memcpy(&out[3], key.tuple.destination.octets.data(), 16);
  out[5] = last_key_word(key.tuple);
  return out;
}

/// Keys the hash; drawn once per table.
struct hash_secret {
  std::array<std::uint64_t, 7> words{};

  /// The same secret for the same seed.
  [[nodiscard]] static hash_secret from(std::uint64_t seed) noexcept {
    hash_secret out;
    for (auto& word : out.words) { // splitmix64
      auto mixed = seed += 0x9e37'79b9'7f4a'7c15u;
      mixed = (mixed ^ mixed >> 30) * 0xbf58'476d'1ce4'e5b9u;
      mixed = (mixed ^ mixed >> 27) * 0x94d0'49bb'1331'11ebu;
      word = mixed ^ mixed >> 31;
    }
    return out;
  }
};

[[nodiscard]] inline std::uint64_t folded_product(std::uint64_t left, std::uint64_t right) noexcept {
  const auto product = static_cast<unsigned __int128>(left) * right;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

/// Independent of the note. Cost: two or four multiplications.
template <std::size_t Words>
[[nodiscard]] inline std::uint64_t hash_value(const key_words<Words>& key, const hash_secret& secret) noexcept {
  static_assert(Words % 3 == 0 && Words < std::tuple_size_v<decltype(secret.words)>);
  auto out = secret.words[Words];
  for (std::size_t i = 0; i < Words; i += 3) {
    const auto last = i + 3 == Words ? key[i + 2] & ~key_word::note_mask : key[i + 2];
    out = folded_product(out ^ folded_product(key[i] ^ secret.words[i], key[i + 1] ^ secret.words[i + 1]),
                         last ^ secret.words[i + 2]);
  }
  return out;
}

} // namespace glocal::dataplane
