#pragma once
// Reads a stream of server-sent events (WHATWG HTML, section 9.2.6) as it comes, in pieces of any size.
//
// The stream is not trusted: an event has at most max_event_bytes, else the reader is broken for good. Pure value.

#include <string>
#include <string_view>
#include <vector>

namespace glocal::cli {

struct server_event {
  std::string name, data;
  /// The last id the stream has given so far.
  std::string id;

  bool operator==(const server_event&) const = default;
};

class event_reader {
public:
  static constexpr std::size_t max_event_bytes = std::size_t{2} << 20;

  /// The events that `piece` completes.
  [[nodiscard]] std::vector<server_event> feed(std::string_view piece);
  [[nodiscard]] bool is_broken() const noexcept { return broken_; }

private:
  void take(std::string_view line, std::vector<server_event>& out);

  std::string line_;
  server_event event_;
  bool has_data_ = false, broken_ = false;
};

} // namespace glocal::cli
