// Any bytes through the whole receiving path that needs no actor: frames, names, hellos, bodies.

#include "runtime/envelope_codec.hpp"
#include "runtime/frame.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

using namespace glocal;
using namespace glocal::runtime;

namespace {

void check(bool truth) {
  if (!truth)
    std::abort();
}

/// What is accepted encodes to something that means the same. Bytes are compared: a text is cut at its first encoding.
template <class Decode, class Encode>
void check_round_trip(byte_view payload, Decode decode, Encode encode) {
  if (const auto value = decode(payload)) {
    const bytes written = encode(*value);
    const auto again = decode(written);
    check(again && encode(*again) == written);
  }
}

void look_at(const frame_header& header, byte_view payload) {
  check(payload.size() == header.payload_bytes && payload.size() <= max_payload_bytes);
  check_round_trip(payload, decode_hello, [](const hello& value) { return encode(value); });
  check_round_trip(payload, decode_failure, [](const failure& value) { return encode(value); });
  check_round_trip(payload, decode_refusal, [](const std::string& value) { return encode_refusal(value); });
  const bytes aligned{payload.begin(), payload.end()};
  (void)well_formed(aligned);
  if (const auto name = decode_name(payload))
    check(name->size() <= max_name_bytes);
}

/// The same headers, whatever runs they come in.
struct reader {
  explicit reader(std::size_t run_bytes) { cutter.accept_runs(run_bytes); }
  bool feed(byte_view chunk, bool look) {
    return cutter
        .feed(chunk,
              [&](byte_view run) {
                std::size_t bytes = 0;
                for_each_frame(run, [&](const frame_header& header, byte_view payload) {
                  if (look)
                    look_at(header, payload);
                  ++frames;
                  bytes += frame_header_bytes + payload.size();
                  return true;
                });
                check(bytes == run.size());
                return true;
              })
        .has_value();
  }
  frame_cutter cutter;
  std::size_t frames = 0;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto stream = std::as_bytes(std::span{data, size});
  // The same stream whole, in short runs and byte by byte gives the same frames and the same verdict.
  reader whole{std::size_t{64} << 10}, short_runs{32}, pieces{64};
  const bool whole_ok = whole.feed(stream, true), short_ok = short_runs.feed(stream, false);
  bool pieces_ok = true;
  for (std::size_t i = 0; i < size && pieces_ok; ++i)
    pieces_ok = pieces.feed(stream.subspan(i, 1), false);
  check(whole.frames == pieces.frames && whole_ok == pieces_ok);
  check(whole.frames == short_runs.frames && whole_ok == short_ok);
  // What a stranger may say.
  frame_cutter stern;
  (void)stern.feed(stream, [](byte_view run) {
    check(run.size() <= frame_header_bytes + max_hello_bytes);
    return true;
  });
  return 0;
}

extern "C" std::size_t glocal_fuzz_seed_input(std::size_t index, std::uint8_t* out, std::size_t capacity) {
  std::vector<char> stream;
  const auto body = encode_name("a body");
  switch (index) {
  case 0:
    append_frame(stream, {.kind = control_kinds::hello, .type = frame_type::control},
                 encode(hello{protocol_version, "cluster", "e1", 7}));
    break;
  case 1:
    append_frame(stream, {.kind = control_kinds::name, .type = frame_type::control, .target = 3}, encode_name("store"));
    append_frame(stream, {.kind = 0x0102, .type = frame_type::request, .target = 3, .correlation = 9}, body);
    append_frame(stream, {.kind = 0x0103, .type = frame_type::reply, .correlation = 9}, body);
    break;
  case 2:
    append_frame(stream, {.kind = 0x0102, .type = frame_type::failure, .correlation = 3},
                 encode(failure{transport_errc::no_such_actor, "x@y"}));
    append_frame(stream, {.kind = control_kinds::hello_refused, .type = frame_type::control}, encode_refusal("no"));
    append_frame(stream, {.kind = control_kinds::heartbeat, .type = frame_type::control}, {});
    break;
  default: return 0;
  }
  const auto size = std::min(stream.size(), capacity);
  std::memcpy(out, stream.data(), size);
  return size;
}
