#include "runtime/frame.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace glocal::runtime {

static_assert(std::endian::native == std::endian::little, "headers are stored as they lie in memory");

const char* to_string(frame_errc code) {
  switch (code) {
  case frame_errc::too_large: return "frame too large";
  case frame_errc::not_whole_words: return "frame is no whole number of words";
  case frame_errc::unknown_type: return "unknown frame type";
  }
  return "unknown";
}

void store_header(const frame_header& header, std::byte* out) noexcept {
  std::memcpy(out, &header.payload_bytes, 4);
  std::memcpy(out + 4, &header.kind, 2);
  std::memcpy(out + 6, &header.type, 2);
  std::memcpy(out + 8, &header.correlation, 8);
}

expected<frame_header, frame_errc> load_header(const std::byte* in, std::size_t payload_limit) noexcept {
  frame_header header;
  std::uint16_t type = 0;
  std::memcpy(&header.payload_bytes, in, 4);
  std::memcpy(&header.kind, in + 4, 2);
  std::memcpy(&type, in + 6, 2);
  std::memcpy(&header.correlation, in + 8, 8);
  if (type > static_cast<std::uint16_t>(frame_type::control))
    return unexpected{frame_errc::unknown_type};
  header.type = static_cast<frame_type>(type);
  if (header.payload_bytes > payload_limit)
    return unexpected{frame_errc::too_large};
  if (header.payload_bytes % 8 != 0)
    return unexpected{frame_errc::not_whole_words};
  return header;
}

void append_frame(std::vector<char>& out, frame_header header, byte_view first, byte_view second) {
  header.payload_bytes = static_cast<std::uint32_t>(first.size() + second.size());
  const auto begin = out.size();
  std::byte raw[frame_header_bytes];
  store_header(header, raw);
  const auto append = [&out](byte_view part) {
    const auto* chars = reinterpret_cast<const char*>(part.data());
    out.insert(out.end(), chars, chars + part.size());
  };
  if (out.capacity() - begin < frame_header_bytes + header.payload_bytes)
    out.reserve(std::max(2 * out.capacity(), begin + frame_header_bytes + header.payload_bytes));
  append(raw);
  append(first);
  append(second);
}

bool frame_decoder::take(byte_view& chunk, std::size_t size) {
  if (partial_.size() < size) {
    const auto count = std::min(size - partial_.size(), chunk.size());
    partial_.insert(partial_.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(count));
    chunk = chunk.subspan(count);
  }
  return partial_.size() >= size;
}

} // namespace glocal::runtime
