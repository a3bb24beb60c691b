#pragma once
// One-way delays between edges, as measured (table `links`), by dense edge numbers. What was not measured is neutral:
// the mean of what was, so that an edge is neither preferred nor shunned because nobody has probed it yet.
//
// Thread safety: as a container's. Memory: 4 bytes for each pair of edges ever named, at most 16 MiB.

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace glocal::policy {

using edge_id = std::uint32_t;
/// An edge without a number: nothing is known about its delays.
inline constexpr edge_id unknown_edge = ~edge_id{0};
/// Twice the edges DESIGN aims at; the matrix would be 16 MiB.
inline constexpr std::size_t max_edges = 2048;

class delay_table {
public:
  /// The number of an edge, given on first sight; `unknown_edge` for the empty name and beyond `max_edges`.
  edge_id number(std::string_view edge);
  [[nodiscard]] std::string_view name(edge_id edge) const noexcept;

  /// A measurement in microseconds, from one edge to another; a negative one takes it back.
  void set(edge_id from, edge_id to, float delay_us);
  /// 0 within an edge; else what was measured in this direction, or in the other, or `neutral_us`.
  [[nodiscard]] float delay_us(edge_id from, edge_id to) const noexcept;
  /// Mean of all measurements; 0 when there are none.
  [[nodiscard]] float neutral_us() const noexcept {
    return measured_ == 0 ? 0 : static_cast<float>(sum_us_ / static_cast<double>(measured_));
  }
  [[nodiscard]] std::size_t measured() const noexcept { return measured_; }

private:
  [[nodiscard]] float at(edge_id from, edge_id to) const noexcept { return delays_[from * side_ + to]; }
  void grow();

  std::unordered_map<std::string, edge_id> numbers_;
  std::vector<std::string> names_;
  /// `side_` squared; negative where nothing was measured.
  std::vector<float> delays_;
  std::size_t side_ = 0, measured_ = 0;
  double sum_us_ = 0;
};

} // namespace glocal::policy
