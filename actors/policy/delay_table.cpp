#include "actors/policy/delay_table.hpp"

#include <algorithm>

namespace glocal::policy {

edge_id delay_table::number(std::string_view edge) {
  if (edge.empty())
    return unknown_edge;
  const auto known = numbers_.find(std::string{edge});
  if (known != numbers_.end())
    return known->second;
  if (names_.size() == max_edges)
    return unknown_edge;
  const auto fresh = static_cast<edge_id>(names_.size());
  names_.emplace_back(edge);
  numbers_.emplace(edge, fresh);
  if (names_.size() > side_)
    grow();
  return fresh;
}

std::string_view delay_table::name(edge_id edge) const noexcept {
  return edge < names_.size() ? std::string_view{names_[edge]} : std::string_view{};
}

void delay_table::set(edge_id from, edge_id to, float delay_us) {
  if (from >= names_.size() || to >= names_.size() || from == to)
    return;
  auto& slot = delays_[from * side_ + to];
  if (slot >= 0) {
    sum_us_ -= slot;
    --measured_;
  }
  // Also refuses what is not a number.
  slot = delay_us >= 0 ? delay_us : -1.0f;
  if (slot >= 0) {
    sum_us_ += slot;
    ++measured_;
  }
}

float delay_table::delay_us(edge_id from, edge_id to) const noexcept {
  if (from >= names_.size() || to >= names_.size())
    return neutral_us();
  if (from == to)
    return 0;
  if (const auto there = at(from, to); there >= 0)
    return there;
  if (const auto back = at(to, from); back >= 0)
    return back;
  return neutral_us();
}

void delay_table::grow() {
  const auto side = std::clamp<std::size_t>(side_ * 2, 8, max_edges);
  std::vector<float> grown(side * side, -1.0f);
  for (std::size_t row = 0; row < side_; ++row)
    std::copy_n(delays_.begin() + static_cast<std::ptrdiff_t>(row * side_), side_,
                grown.begin() + static_cast<std::ptrdiff_t>(row * side));
  delays_ = std::move(grown);
  side_ = side;
}

} // namespace glocal::policy
