#include "tools/event_reader.hpp"

#include <utility>

namespace glocal::cli {

std::vector<server_event> event_reader::feed(std::string_view piece) {
  std::vector<server_event> out;
  while (!piece.empty() && !broken_) {
    const auto end = piece.find('\n');
    if (line_.size() + event_.data.size() + std::min(end, piece.size()) > max_event_bytes) {
      broken_ = true;
      break;
    }
    line_ += piece.substr(0, end);
    if (end == std::string_view::npos)
      break;
    piece.remove_prefix(end + 1);
    auto line = std::exchange(line_, {});
    if (line.ends_with('\r'))
      line.pop_back();
    take(line, out);
  }
  return out;
}

void event_reader::take(std::string_view line, std::vector<server_event>& out) {
  if (line.empty()) {
    if (has_data_)
      out.push_back(event_);
    event_.name.clear();
    event_.data.clear();
    has_data_ = false;
    return;
  }
  const auto colon = line.find(':');
  const auto field = line.substr(0, colon);
  auto value = colon == std::string_view::npos ? std::string_view{} : line.substr(colon + 1);
  if (value.starts_with(' '))
    value.remove_prefix(1);
  if (field == "event") {
    event_.name = value;
  } else if (field == "id") {
    event_.id = value;
  } else if (field == "data") {
    if (std::exchange(has_data_, true))
      event_.data += '\n';
    event_.data += value;
  }
}

} // namespace glocal::cli
