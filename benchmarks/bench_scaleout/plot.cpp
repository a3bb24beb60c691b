#include "benchmarks/bench_scaleout/plot.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>

namespace glocal::bench {
namespace {

constexpr double panel_width = 460, height = 400, left = 70, right = 20, top = 70, bottom = 60;

/// Whole decades around what is shown.
struct axis {
  double low = 1e300, high = -1e300;

  void take(double value) {
    low = std::min(low, std::floor(std::log10(value)));
    high = std::max(high, std::ceil(std::log10(value)));
  }
  [[nodiscard]] double place(double value) const { return (std::log10(value) - low) / std::max(1.0, high - low); }
};

std::string decade(double exponent) {
  const auto value = std::pow(10, exponent);
  std::ostringstream out;
  if (value >= 1e6)
    out << value / 1e6 << 'M';
  else if (value >= 1e3)
    out << value / 1e3 << 'k';
  else
    out << value;
  return out.str();
}

void text(std::ostream& out, double x, double y, const std::string& what, const char* anchor, const char* more = "") {
  out << "<text x='" << x << "' y='" << y << "' text-anchor='" << anchor << "' " << more << '>' << what << "</text>\n";
}

void draw(std::ostream& out, const panel& what, double x0) {
  axis x, y;
  for (const auto& curve : what.curves)
    for (const auto& [px, py] : curve.points)
      if (px > 0 && py > 0)
        x.take(px), y.take(py);
  const double width = panel_width - left - right, tall = height - top - bottom;
  const auto at_x = [&](double value) { return x0 + left + width * x.place(value); };
  const auto at_y = [&](double value) { return top + tall * (1 - y.place(value)); };
  text(out, x0 + left + width / 2, top - 14, what.title, "middle", "font-weight='bold'");
  for (double e = x.low; e <= x.high; ++e) {
    const auto px = at_x(std::pow(10, e));
    out << "<line x1='" << px << "' y1='" << top << "' x2='" << px << "' y2='" << top + tall << "' stroke='#ddd'/>\n";
    text(out, px, top + tall + 18, decade(e), "middle");
  }
  for (double e = y.low; e <= y.high; ++e) {
    const auto py = at_y(std::pow(10, e));
    out << "<line x1='" << x0 + left << "' y1='" << py << "' x2='" << x0 + left + width << "' y2='" << py
        << "' stroke='#ddd'/>\n";
    text(out, x0 + left - 8, py + 4, decade(e), "end");
  }
  text(out, x0 + left + width / 2, height - 18, what.x_label, "middle");
  std::ostringstream turned;
  turned << "transform='rotate(-90 " << x0 + 18 << ' ' << top + tall / 2 << ")'";
  text(out, x0 + 18, top + tall / 2, what.y_label, "middle", turned.str().c_str());
  double line = 0;
  for (const auto& curve : what.curves) {
    out << "<polyline fill='none' stroke-width='2' stroke='" << curve.colour << "' points='";
    for (const auto& [px, py] : curve.points)
      if (px > 0 && py > 0)
        out << at_x(px) << ',' << at_y(py) << ' ';
    out << "'/>\n";
    for (const auto& [px, py] : curve.points)
      if (px > 0 && py > 0)
        out << "<circle r='3' fill='" << curve.colour << "' cx='" << at_x(px) << "' cy='" << at_y(py) << "'/>\n";
    const auto key = top + 16 + 16 * line++;
    out << "<line stroke-width='2' stroke='" << curve.colour << "' x1='" << x0 + left + 8 << "' y1='" << key - 4
        << "' x2='" << x0 + left + 28 << "' y2='" << key - 4 << "'/>\n";
    text(out, x0 + left + 34, key, curve.name, "start");
  }
}

} // namespace

std::string to_svg(const std::string& title, const std::vector<panel>& panels) {
  std::ostringstream out;
  const auto width = panel_width * static_cast<double>(panels.size());
  out << "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 " << width << ' ' << height
      << "' font-family='sans-serif' font-size='12'>\n<rect width='100%' height='100%' fill='white'/>\n";
  text(out, width / 2, 26, title, "middle", "font-size='16'");
  for (std::size_t i = 0; i < panels.size(); ++i)
    draw(out, panels[i], panel_width * static_cast<double>(i));
  out << "</svg>\n";
  return out.str();
}

} // namespace glocal::bench
