// Any bytes through the whole receiving path that needs no actor: frames, envelopes, hellos, bodies.

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
  if (const auto split = split_envelope(payload)) {
    check(split->target.size() <= max_name_bytes && split->body.size() < payload.size());
    const bytes body{split->body.begin(), split->body.end()};
    (void)well_formed(body);
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto stream = std::as_bytes(std::span{data, size});
  // The same stream whole and byte by byte gives the same frames and the same verdict.
  std::size_t whole = 0, pieces = 0;
  frame_decoder first, second;
  const bool whole_ok = first
                            .feed(stream,
                                  [&](const frame_header& header, byte_view payload) {
                                    look_at(header, payload);
                                    ++whole;
                                    return true;
                                  })
                            .has_value();
  bool pieces_ok = true;
  for (std::size_t i = 0; i < size && pieces_ok; ++i)
    pieces_ok = second
                    .feed(stream.subspan(i, 1),
                          [&](const frame_header&, byte_view) {
                            ++pieces;
                            return true;
                          })
                    .has_value();
  check(whole == pieces && whole_ok == pieces_ok);
  return 0;
}

extern "C" std::size_t glocal_fuzz_seed_input(std::size_t index, std::uint8_t* out, std::size_t capacity) {
  std::vector<char> stream;
  const auto body = encode_envelope("a body");
  switch (index) {
  case 0:
    append_frame(stream, {.kind = control_kinds::hello, .type = frame_type::control},
                 encode(hello{protocol_version, "cluster", "e1", 7}));
    break;
  case 1:
    append_frame(stream, {.kind = 0x0102, .type = frame_type::request, .correlation = 9}, encode_envelope("store"),
                 body);
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
