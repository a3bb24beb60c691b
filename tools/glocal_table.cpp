#include "tools/glocal_table.hpp"

#include <algorithm>
#include <cctype>
#include <numeric>

namespace glocal::cli {
namespace {

constexpr std::size_t gap = 2;

bool is_number(const std::string& text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) || c == '.'; });
}

} // namespace

std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string table::text() const {
  if (rows_.empty())
    return {};
  std::vector<std::size_t> widths(header_.size());
  std::vector<bool> numeric(header_.size(), true);
  for (std::size_t column = 0; column < header_.size(); ++column) {
    widths[column] = width(header_[column]);
    for (const auto& row : rows_) {
      widths[column] = std::max(widths[column], width(row[column]));
      numeric[column] = numeric[column] && (is_number(row[column]) || row[column] == "-");
    }
  }
  // In place: a table may have ten thousand rows.
  std::string out;
  out.reserve((rows_.size() + 1) *
              (std::accumulate(widths.begin(), widths.end(), std::size_t{1}) + gap * widths.size()));
  const auto line = [&](const std::vector<std::string>& cells) {
    for (std::size_t column = 0; column < cells.size(); ++column) {
      const auto padding = widths[column] - width(cells[column]);
      if (numeric[column])
        out.append(padding, ' ');
      out += cells[column];
      out.append(gap + (numeric[column] ? 0 : padding), ' ');
    }
    out.erase(out.find_last_not_of(' ') + 1);
    out += '\n';
  };
  line(header_);
  for (const auto& row : rows_)
    line(row);
  return out;
}

std::string shown_seconds(double seconds) {
  const auto whole = static_cast<std::uint64_t>(seconds < 0 ? 0 : seconds);
  const auto two = [](std::uint64_t great, const char* great_unit, std::uint64_t small, const char* small_unit) {
    return std::to_string(great) + great_unit + (small > 0 ? " " + std::to_string(small) + small_unit : "");
  };
  if (whole < 60)
    return std::to_string(whole) + " s";
  if (whole < 3600)
    return two(whole / 60, " min", whole % 60, " s");
  if (whole < 86'400)
    return two(whole / 3600, " h", whole % 3600 / 60, " min");
  return two(whole / 86'400, " d", whole % 86'400 / 3600, " h");
}

} // namespace glocal::cli
