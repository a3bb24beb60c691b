#pragma once
// A picture of curves on two logarithmic axes, as SVG.

#include <string>
#include <utility>
#include <vector>

namespace glocal::bench {

struct curve {
  std::string name, colour;
  std::vector<std::pair<double, double>> points;
};

struct panel {
  std::string title, x_label, y_label;
  std::vector<curve> curves;
};

/// The panels side by side. Points that are not positive are left out.
[[nodiscard]] std::string to_svg(const std::string& title, const std::vector<panel>& panels);

} // namespace glocal::bench
