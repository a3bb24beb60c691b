#include "actors/policy/deal.hpp"

#include "actors/policy/layered_path.hpp"
#include "base/hash.hpp"

#include <algorithm>

namespace glocal::policy {

std::size_t hands_for(std::size_t count) noexcept {
  return std::max<std::size_t>(1, (count + layer_width - 1) / layer_width);
}

std::vector<std::vector<std::size_t>> deal(std::size_t count, random_source& random) {
  const auto hands = hands_for(count);
  std::vector<std::vector<std::size_t>> out(hands);
  std::size_t first = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (i % hands == 0)
      first = random.below(static_cast<std::uint32_t>(hands));
    out[(first + i) % hands].push_back(i);
  }
  return out;
}

std::uint32_t hand_of(std::string_view edge, std::uint32_t hands) noexcept {
  return static_cast<std::uint32_t>(hash_text(edge) % hands);
}

} // namespace glocal::policy
