#pragma once
// The byte stream between two nodes: a sequence of frames. Pure: no socket, no actor.
//
//   offset 0  u32  payload bytes, a multiple of 8, at most max_payload_bytes
//          4  u16  kind of the message (message.hpp), or a control kind
//          6  u8   frame_type; all other values are invalid
//          7  u8   zero
//          8  u16  slot of the target's name (requests, casts); of the name that is given (names)
//         10  u16  slot of the sending actor's name (requests, casts), no_name when it has none
//         12  u32  correlation id, chosen by the requester, not 0; 0 in all but requests, replies and failures
//         16  payload
//
// Little-endian, as Cap'n Proto is. Payload of a request, cast or reply: the body; of a failure: a Failure; of control
// frames: see control_kinds and envelope_codec.hpp.
//
// Names are sent once: a `name` frame puts a name into one of max_names slots of its direction of the connection, and
// later frames refer to the slot. An envelope of its own in each message cost more than half of the time that a small
// message took on both sides.

#include "base/bytes.hpp"
#include "base/expected.hpp"
#include "runtime/message.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

namespace glocal::runtime {

enum class frame_type : std::uint8_t { cast, request, reply, failure, control };

namespace control_kinds {
inline constexpr std::uint16_t hello = kind_ranges::transport + 1, // Hello
    hello_refused = kind_ranges::transport + 2,                    // HelloRefused
    heartbeat = kind_ranges::transport + 3,                        // empty
    name = kind_ranges::transport + 4,                             // ActorName
    credit = kind_ranges::transport + 5;                           // u64, see flow_control.hpp
}

inline constexpr std::size_t frame_header_bytes = 16;
inline constexpr std::size_t max_payload_bytes = max_body_bytes;
/// Until a peer has said who it is, it gets no more memory than a hello needs.
inline constexpr std::size_t max_hello_bytes = 2048;
/// Slots for names in each direction; who needs more names gives a slot a new one.
inline constexpr std::uint16_t max_names = 4096;
inline constexpr std::uint16_t no_name = 0xffff;

struct frame_header {
  std::uint32_t payload_bytes = 0;
  std::uint16_t kind = 0;
  frame_type type = frame_type::cast;
  std::uint16_t target = 0, sender = no_name;
  std::uint32_t correlation = 0;

  bool operator==(const frame_header&) const = default;
};

enum class frame_errc { too_large, not_whole_words, unknown_type };
[[nodiscard]] const char* to_string(frame_errc code);

/// Writes 16 bytes.
inline void store_header(const frame_header& header, std::byte* out) noexcept {
  std::memcpy(out, &header.payload_bytes, 4);
  std::memcpy(out + 4, &header.kind, 2);
  out[6] = static_cast<std::byte>(header.type);
  out[7] = std::byte{0};
  std::memcpy(out + 8, &header.target, 2);
  std::memcpy(out + 10, &header.sender, 2);
  std::memcpy(out + 12, &header.correlation, 4);
}

/// Reads the header of a frame that a frame_cutter has passed.
[[nodiscard]] inline frame_header trusted_header(const std::byte* in) noexcept {
  frame_header header;
  std::memcpy(&header.payload_bytes, in, 4);
  std::memcpy(&header.kind, in + 4, 2);
  header.type = static_cast<frame_type>(in[6]);
  std::memcpy(&header.target, in + 8, 2);
  std::memcpy(&header.sender, in + 10, 2);
  std::memcpy(&header.correlation, in + 12, 4);
  return header;
}

/// Reads 16 bytes. @error what makes it no header of a frame of at most `payload_limit` bytes.
[[nodiscard]] expected<frame_header, frame_errc> load_header(const std::byte* in, std::size_t payload_limit) noexcept;

/// Appends header and payload to `out`. The header's size field is set here.
void append_frame(std::vector<char>& out, frame_header header, byte_view payload);

/// Calls visit(const frame_header&, byte_view payload) -> bool for each frame of a run; false stops.
template <class Visit>
void for_each_frame(byte_view run, Visit&& visit) {
  while (!run.empty()) {
    const auto header = trusted_header(run.data());
    if (!visit(header, run.subspan(frame_header_bytes, header.payload_bytes)))
      return;
    run = run.subspan(frame_header_bytes + header.payload_bytes);
  }
}

/// Cuts a byte stream into runs of whole frames, so that what was read at once can be copied and shared at once.
/// Incremental: chunks may end anywhere.
/// Cost: runs that lie in one chunk are passed on in place; a frame that does not is copied once.
class frame_cutter {
public:
  /// Until `accept_runs`, each run is one frame of at most max_hello_bytes.
  explicit frame_cutter(std::size_t payload_limit = max_hello_bytes) noexcept : payload_limit_{payload_limit} {}

  /// From now on frames have any size and runs of up to `run_bytes` come at once (longer only as a single frame).
  void accept_runs(std::size_t run_bytes) noexcept {
    payload_limit_ = max_payload_bytes;
    run_bytes_ = run_bytes;
  }

  /// Calls sink(byte_view run) -> bool for the frames that are now complete; false stops and forgets the rest. The run
  /// is valid during the call and may be unaligned.
  /// @error the stream is no sequence of frames; the cutter is then of no more use.
  template <class Sink>
  [[nodiscard]] expected<void, frame_errc> feed(byte_view chunk, Sink&& sink) {
    while (!chunk.empty()) {
      if (partial_.empty()) {
        const auto whole = measure(chunk);
        if (whole.bytes > 0) {
          if (!sink(chunk.first(whole.bytes)))
            return {};
          chunk = chunk.subspan(whole.bytes);
          continue;
        }
        if (whole.error)
          return unexpected{*whole.error};
      }
      if (!take(chunk, frame_header_bytes))
        return {};
      const auto header = load_header(partial_.data(), payload_limit_);
      if (!header)
        return unexpected{header.error()};
      if (!take(chunk, frame_header_bytes + header->payload_bytes))
        return {};
      const bool go_on = sink(byte_view{partial_});
      partial_.clear();
      if (partial_.capacity() > max_kept_bytes)
        partial_.shrink_to_fit();
      if (!go_on)
        return {};
    }
    return {};
  }

private:
  /// A connection that once had a large frame does not keep the memory for it.
  static constexpr std::size_t max_kept_bytes = std::size_t{64} << 10;

  struct run_length {
    std::size_t bytes = 0;
    std::optional<frame_errc> error;
  };
  /// Of the run at the begin of the chunk; the error is what follows it, if that is known to be none.
  [[nodiscard]] run_length measure(byte_view chunk) const noexcept;
  /// Moves bytes from `chunk` until `partial_` holds `size`; false when the chunk ends before.
  bool take(byte_view& chunk, std::size_t size);

  std::size_t payload_limit_;
  std::size_t run_bytes_ = 0;
  // Begin of a frame whose rest has not arrived. Grows with what arrives, not with what a header promises.
  bytes partial_;
};

} // namespace glocal::runtime
