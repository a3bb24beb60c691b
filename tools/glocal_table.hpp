#pragma once
// What the command line prints: aligned tables and times that read well.

#include <cstdint>
#include <string>
#include <vector>

namespace glocal::cli {

/// Columns as wide as their widest cell, numbers to the right. Nothing for a table without rows.
class table {
public:
  explicit table(std::vector<std::string> header) : header_{std::move(header)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] std::string text() const;

private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

/// Columns of a terminal that `text` takes: its UTF-8 code points, for the text we print.
[[nodiscard]] std::size_t width(const std::string& text);

/// `3 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`
[[nodiscard]] std::string shown_seconds(double seconds);

} // namespace glocal::cli
