#include "runtime/frame.hpp"

#include <algorithm>
#include <bit>

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

expected<frame_header, frame_errc> load_header(const std::byte* in, std::size_t payload_limit) noexcept {
  // Byte 7 is a part of the type, so that what a later version puts there is not mistaken for what it is now.
  if (in[6] > static_cast<std::byte>(frame_type::control) || in[7] != std::byte{0})
    return unexpected{frame_errc::unknown_type};
  const auto header = trusted_header(in);
  if (header.payload_bytes > payload_limit)
    return unexpected{frame_errc::too_large};
  if (header.payload_bytes % 8 != 0)
    return unexpected{frame_errc::not_whole_words};
  return header;
}

void append_frame(std::vector<char>& out, frame_header header, byte_view payload) {
  header.payload_bytes = static_cast<std::uint32_t>(payload.size());
  const auto begin = out.size(), size = frame_header_bytes + payload.size();
  if (out.capacity() - begin < size)
    out.reserve(std::max(2 * out.capacity(), begin + size));
  std::byte raw[frame_header_bytes];
  store_header(header, raw);
  const auto append = [&out](byte_view part) {
    const auto* chars = reinterpret_cast<const char*>(part.data());
    out.insert(out.end(), chars, chars + part.size());
  };
  append(raw);
  append(payload);
}

frame_cutter::run_length frame_cutter::measure(byte_view chunk) const noexcept {
  run_length out;
  while (chunk.size() - out.bytes >= frame_header_bytes) {
    const auto header = load_header(chunk.data() + out.bytes, payload_limit_);
    if (!header) {
      out.error = header.error();
      break;
    }
    const auto size = frame_header_bytes + header->payload_bytes;
    if (chunk.size() - out.bytes < size || (out.bytes > 0 && out.bytes + size > run_bytes_))
      break;
    out.bytes += size;
  }
  return out;
}

bool frame_cutter::take(byte_view& chunk, std::size_t size) {
  if (partial_.size() < size) {
    const auto count = std::min(size - partial_.size(), chunk.size());
    partial_.insert(partial_.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(count));
    chunk = chunk.subspan(count);
  }
  return partial_.size() >= size;
}

} // namespace glocal::runtime
