#pragma once
// The byte stream between two nodes: a sequence of frames. Pure: no socket, no actor, no allocation but for what is
// cut.
//
//   offset 0  u32  payload bytes, a multiple of 8, at most max_payload_bytes
//          4  u16  kind of the message (message.hpp), or a control kind
//          6  u16  frame_type; all other values are invalid
//          8  u64  correlation id, chosen by the requester; 0 in casts and control frames
//         16  payload
//
// Little-endian, as Cap'n Proto is. Payload of a request or cast: an Envelope, then the body, each one Cap'n Proto
// message in stream framing; of a reply: the body; of a failure: a Failure; of control frames: see envelope_codec.hpp.

#include "base/bytes.hpp"
#include "base/expected.hpp"
#include "runtime/message.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace glocal::runtime {

enum class frame_type : std::uint16_t { cast, request, reply, failure, control };

namespace control_kinds {
inline constexpr std::uint16_t hello = kind_ranges::transport + 1, hello_refused = kind_ranges::transport + 2,
                               heartbeat = kind_ranges::transport + 3;
}

inline constexpr std::size_t frame_header_bytes = 16;
/// A directory name, with room.
inline constexpr std::size_t max_envelope_bytes = 1024;
inline constexpr std::size_t max_payload_bytes = max_envelope_bytes + max_body_bytes;
/// Until a peer has said who it is, it gets no more memory than a hello needs.
inline constexpr std::size_t max_hello_bytes = 2048;

struct frame_header {
  std::uint32_t payload_bytes = 0;
  std::uint16_t kind = 0;
  frame_type type = frame_type::cast;
  std::uint64_t correlation = 0;

  bool operator==(const frame_header&) const = default;
};

enum class frame_errc { too_large, not_whole_words, unknown_type };
[[nodiscard]] const char* to_string(frame_errc code);

/// Writes 16 bytes.
void store_header(const frame_header& header, std::byte* out) noexcept;
/// Reads 16 bytes. @error what makes it no header of a frame of at most `payload_limit` bytes.
[[nodiscard]] expected<frame_header, frame_errc> load_header(const std::byte* in, std::size_t payload_limit) noexcept;

/// Appends header, `first` and `second` to `out`. The header's size field is set here.
void append_frame(std::vector<char>& out, frame_header header, byte_view first, byte_view second = {});

/// Cuts a byte stream into frames. Incremental: chunks may end anywhere.
/// Cost: frames that lie in one chunk are passed on in place, others are copied once.
class frame_decoder {
public:
  explicit frame_decoder(std::size_t payload_limit = max_payload_bytes) noexcept : payload_limit_{payload_limit} {}

  void set_payload_limit(std::size_t bytes) noexcept { payload_limit_ = bytes; }

  /// Calls sink(const frame_header&, byte_view payload) -> bool for each frame that is now complete; false stops and
  /// forgets the rest. The payload is valid during the call and may be unaligned.
  /// @error the stream is no sequence of frames; the decoder is then of no more use.
  template <class Sink>
  [[nodiscard]] expected<void, frame_errc> feed(byte_view chunk, Sink&& sink) {
    while (!chunk.empty()) {
      if (partial_.empty() && chunk.size() >= frame_header_bytes) {
        const auto header = load_header(chunk.data(), payload_limit_);
        if (!header)
          return unexpected{header.error()};
        const auto size = frame_header_bytes + header->payload_bytes;
        if (chunk.size() >= size) {
          if (!sink(*header, chunk.subspan(frame_header_bytes, header->payload_bytes)))
            return {};
          chunk = chunk.subspan(size);
          continue;
        }
      }
      if (!take(chunk, frame_header_bytes))
        return {};
      const auto header = load_header(partial_.data(), payload_limit_);
      if (!header)
        return unexpected{header.error()};
      if (!take(chunk, frame_header_bytes + header->payload_bytes))
        return {};
      const bool go_on = sink(*header, byte_view{partial_}.subspan(frame_header_bytes));
      partial_.clear();
      if (!go_on)
        return {};
    }
    return {};
  }

private:
  /// Moves bytes from `chunk` until `partial_` holds `size`; false when the chunk ends before.
  bool take(byte_view& chunk, std::size_t size);

  std::size_t payload_limit_;
  // Begin of a frame whose rest has not arrived. Grows with what arrives, not with what a header promises.
  bytes partial_;
};

} // namespace glocal::runtime
