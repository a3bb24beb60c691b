#include "actors/policy/layer.hpp"

#include "base/hash.hpp"

#include <algorithm>
#include <cmath>

namespace glocal::policy {
namespace {

/// Guessed capacity of an idle layer: few enough that a first burst shows in the utilisation.
constexpr double least_guess = 16;

float sane(double value) noexcept {
  // A digest comes from the network: a bound keeps sums finite, and the comparison refuses what is not a number.
  constexpr double greatest = 1e12;
  return value > 0 ? static_cast<float>(std::min(value, greatest)) : 0.0f;
}

} // namespace

void layer::update(std::span<const candidate> candidates, delay_table& delays) {
  const auto before = names_;
  const auto chosen = chosen_;
  names_.clear();
  chosen_.fill(0);
  chosen_before_.fill(0);
  double load = 0, capacity = 0;
  std::size_t with_capacity = 0;
  numbers staleness{};
  for (const auto& published : candidates) {
    if (!published.healthy || size() == layer_width)
      continue;
    const auto i = size();
    names_.push_back(published.instance);
    ids_[i] = hash_text(published.instance);
    edges_[i] = delays.number(published.edge);
    published_[i] = sane(published.flows);
    capacity_[i] = sane(published.capacity);
    staleness[i] = 1 - static_cast<float>(std::exp(-std::max<double>(0, static_cast<double>(published.age.count())) /
                                                   static_cast<double>(fading.count())));
    load += published_[i];
    if (capacity_[i] > 0) {
      capacity += capacity_[i];
      ++with_capacity;
    }
    // A digest's order changes little: the search mostly ends at once.
    const auto known = std::find(before.begin(), before.end(), published.instance);
    if (known != before.end())
      chosen_before_[i] = chosen[static_cast<std::size_t>(known - before.begin())];
  }
  if (names_.empty())
    return;
  const auto mean = load / static_cast<double>(size());
  const auto guess =
      with_capacity > 0 ? capacity / static_cast<double>(with_capacity) : std::max(2 * mean, least_guess);
  for (std::size_t i = 0; i < size(); ++i) {
    published_[i] += (static_cast<float>(mean) - published_[i]) * staleness[i];
    if (capacity_[i] <= 0)
      capacity_[i] = static_cast<float>(guess);
  }
}

void layer::uncount(std::string_view instance) noexcept {
  const auto i = find(hash_text(instance));
  if (i < size() && chosen_[i] > 0)
    chosen_[i] -= 1;
}

std::size_t layer::find(std::uint64_t id) const noexcept {
  return static_cast<std::size_t>(std::find(ids_.begin(), ids_.begin() + static_cast<std::ptrdiff_t>(size()), id) -
                                  ids_.begin());
}

} // namespace glocal::policy
