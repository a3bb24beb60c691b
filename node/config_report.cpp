#include "node/config_report.hpp"

#include <algorithm>
#include <tuple>

namespace glocal::node {
namespace {

/// Optimal string alignment distance, or `bound` + 1 when it is greater.
std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t bound) {
  if (a.size() > b.size() + bound || b.size() > a.size() + bound)
    return bound + 1;
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j)
    last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

} // namespace

std::string quoted(std::string_view text) {
  constexpr std::size_t shown = 60;
  std::string out{"'"};
  for (const char c : text.substr(0, shown))
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return out + (text.size() > shown ? "...'" : "'");
}

bool config_report::error(const yaml_value& where, std::string message, std::string suggestion) {
  if (!full())
    found_.push_back({file_, where.line, where.column, std::move(message), std::move(suggestion)});
  return false;
}

std::vector<diagnostic> config_report::take() {
  std::stable_sort(found_.begin(), found_.end(), [](const auto& a, const auto& b) {
    return std::tie(a.line, a.column) < std::tie(b.line, b.column);
  });
  // An aliased value is read once per alias; its mistake is one mistake.
  found_.erase(std::unique(found_.begin(), found_.end()), found_.end());
  return std::move(found_);
}

std::string suggest(std::string_view word, const std::vector<std::string_view>& known, std::string_view what) {
  constexpr std::size_t longest_guess = 64, most_listed = 12;
  std::string_view best;
  auto best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  if (!word.empty() && word.size() <= longest_guess)
    for (const auto candidate : known)
      if (const auto distance = edit_distance(word, candidate, best_distance); distance < best_distance) {
        best = candidate;
        best_distance = distance;
      }
  if (!best.empty())
    return "did you mean " + quoted(best) + "?";
  if (known.empty())
    return "there are no " + std::string{what};
  auto out = "known " + std::string{what} + ": ";
  for (std::size_t i = 0; i < known.size() && i < most_listed; ++i)
    out += (i == 0 ? "" : ", ") + std::string{known[i]};
  return known.size() > most_listed ? out + ", ..." : out;
}

} // namespace glocal::node
