#pragma once
// Writes JSON objects as text, for answers that are too large to be made as values first.
//
//   object_writer one{text};
//   one.add("id", id);
//   { auto state = one.object("state"); state.add("flows", flows); }
//   one.close();
//
// REQUIRES: an inner object is closed (by its end at the latest) before the outer one goes on; keys are not repeated.

#include "base/escape.hpp"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace glocal::node {

class object_writer {
public:
  explicit object_writer(std::string& to) : to_{to} { to_ += '{'; }
  ~object_writer() { close(); }
  object_writer(const object_writer&) = delete;
  object_writer& operator=(const object_writer&) = delete;

  void add(std::string_view key, std::string_view value) {
    begin(key);
    append_json_string(to_, value);
  }
  void add_null(std::string_view key) {
    begin(key);
    to_ += "null";
  }
  void add(std::string_view key, std::uint64_t value) {
    begin(key);
    append_number(value);
  }
  /// Null for what JSON has no number for.
  void add(std::string_view key, double value) {
    begin(key);
    if (!std::isfinite(value)) {
      to_ += "null";
      return;
    }
    const auto from = to_.size();
    append_number(value);
    // So that readers take it for the fraction it may be the next time.
    if (to_.find_first_of(".e", from) == std::string::npos)
      to_ += ".0";
  }
  void add(std::string_view key, std::optional<double> value) {
    add(key, value.value_or(std::numeric_limits<double>::quiet_NaN()));
  }
  [[nodiscard]] object_writer object(std::string_view key) {
    begin(key);
    return object_writer{to_};
  }

  void close() {
    if (open_)
      to_ += '}';
    open_ = false;
  }

private:
  void begin(std::string_view key) {
    if (!std::exchange(first_, false))
      to_ += ',';
    append_json_string(to_, key);
    to_ += ':';
  }
  template <class Number>
  void append_number(Number value) {
    char text[32];
    const auto end = std::to_chars(text, text + sizeof text, value).ptr;
    to_.append(text, end);
  }

  std::string& to_;
  bool first_ = true, open_ = true;
};

} // namespace glocal::node
