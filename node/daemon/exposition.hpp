#pragma once
// Writes metrics in the Prometheus text exposition format, version 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats).
//
// Why no library: what we export is counted elsewhere already (actors' records, the lcore's counters) and read when
// somebody asks. A client library would keep every number a second time, and Debian's brings an HTTP server and libcurl
// along; the format is this one page.

#include "base/latency_buckets.hpp"

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace glocal::node {

class exposition {
public:
  using label = std::pair<std::string_view, std::string_view>;

  /// @param common on every sample, before its own.
  explicit exposition(std::vector<std::pair<std::string, std::string>> common) : common_{std::move(common)} {}

  /// The samples that follow are of this family; one without samples is not written.
  /// @param type "counter", "gauge", "summary" or "histogram". REQUIRES: a name that was not used before.
  void family(std::string_view name, std::string_view type, std::string_view help);

  /// Label values are written in printable ASCII: they may come from peers, and the format demands valid UTF-8.
  /// @param suffix after the family's name: "_count" of a summary.
  void add(std::initializer_list<label> labels, std::uint64_t value, std::string_view suffix = {});
  void add(std::initializer_list<label> labels, double value, std::string_view suffix = {});

  /// All samples of a histogram: cumulative buckets in seconds, sum and count.
  void add(std::initializer_list<label> labels, const latency_buckets& durations);

  [[nodiscard]] std::string take() { return std::move(text_); }

private:
  using label_span = std::span<const label>;
  void begin_sample(label_span labels, std::string_view suffix);
  template <class Number>
  void sample(label_span labels, Number value, std::string_view suffix);
  void append_label(std::string_view key, std::string_view value, bool first);

  const std::vector<std::pair<std::string, std::string>> common_;
  std::string name_, header_, text_;
};

} // namespace glocal::node
