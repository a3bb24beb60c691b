#include "runtime/envelope_codec.hpp"

#include "runtime/frame.hpp"

#include "schema/transport.capnp.h"

#include <capnp/any.h>
#include <capnp/message.h>
#include <capnp/serialize.h>

#include <cstring>

namespace glocal::runtime {
namespace {

constexpr std::size_t word_bytes = sizeof(capnp::word);
/// Messages of this file; they hold two names and a number, or a text.
constexpr std::size_t max_words = max_hello_bytes / word_bytes;
constexpr int shallow = 4;
/// Deep enough for any schema of ours, shallow enough for any stack.
constexpr int body_nesting_limit = 32;

template <class Struct, class Fill>
bytes encode_message(Fill&& fill) {
  capnp::word scratch[64] = {};
  capnp::MallocMessageBuilder builder{kj::arrayPtr(scratch, 64)};
  fill(builder.initRoot<Struct>());
  bytes out(capnp::computeSerializedSizeInWords(builder) * word_bytes);
  kj::ArrayOutputStream stream{kj::arrayPtr(reinterpret_cast<kj::byte*>(out.data()), out.size())};
  capnp::writeMessage(stream, builder);
  return out;
}

/// Calls `read` with the root of the message that `payload` is; its result, or nothing if it is none.
template <class Struct, class Read>
auto decode_message(byte_view payload, Read&& read)
    -> std::optional<decltype(read(std::declval<typename Struct::Reader>()))> {
  capnp::word words[max_words];
  const auto count = std::min(payload.size() / word_bytes, max_words);
  if (count == 0)
    return std::nullopt;
  // Copied because payloads lie unaligned in the stream; small by definition.
  std::memcpy(words, payload.data(), count * word_bytes);
  capnp::ReaderOptions options;
  options.traversalLimitInWords = 2 * max_words;
  options.nestingLimit = shallow;
  try {
    capnp::FlatArrayMessageReader reader{kj::arrayPtr(words, count), options};
    const auto size = static_cast<std::size_t>(reader.getEnd() - words) * word_bytes;
    if (size != payload.size())
      return std::nullopt;
    return read(reader.getRoot<Struct>());
  } catch (const kj::Exception&) {
    return std::nullopt;
  }
}

/// With its length, so that a NUL inside does not cut it.
capnp::Text::Reader as_text(const std::string& text) {
  return {text.c_str(), text.size()};
}

std::string text_of(capnp::Text::Reader text) {
  return {text.begin(), text.size()};
}

} // namespace

bytes encode(const hello& value) {
  return encode_message<wire::Hello>([&](wire::Hello::Builder out) {
    out.setProtocolVersion(value.version);
    out.setCluster(as_text(value.cluster));
    out.setNode(as_text(value.node));
    out.setIncarnation(value.incarnation);
    out.setWindowBytes(value.window_bytes);
  });
}

bytes encode(const failure& value) {
  return encode_message<wire::Failure>([&](wire::Failure::Builder out) {
    out.setCode(static_cast<std::uint16_t>(value.code));
    out.setText(as_text(value.text.substr(0, max_text_bytes)));
  });
}

bytes encode_refusal(std::string_view reason) {
  return encode_message<wire::HelloRefused>(
      [&](wire::HelloRefused::Builder out) { out.setReason(as_text(std::string{reason.substr(0, max_text_bytes)})); });
}

bytes encode_name(std::string_view name) {
  return encode_message<wire::ActorName>([&](wire::ActorName::Builder out) {
    std::memcpy(out.initName(static_cast<unsigned>(name.size())).begin(), name.data(), name.size());
  });
}

std::optional<hello> decode_hello(byte_view payload) {
  auto out = decode_message<wire::Hello>(payload, [](wire::Hello::Reader in) {
    return hello{in.getProtocolVersion(), text_of(in.getCluster()), text_of(in.getNode()), in.getIncarnation(),
                 in.getWindowBytes()};
  });
  if (out && (out->node.empty() || out->node.size() > max_name_bytes || out->cluster.size() > max_name_bytes))
    return std::nullopt;
  return out;
}

std::optional<failure> decode_failure(byte_view payload) {
  return decode_message<wire::Failure>(payload, [](wire::Failure::Reader in) {
    const auto code = in.getCode();
    // A code of a later version means at least this.
    const bool known = code >= static_cast<std::uint16_t>(transport_errc::unreachable) &&
                       code <= static_cast<std::uint16_t>(transport_errc::malformed);
    return failure{known ? static_cast<transport_errc>(code) : transport_errc::refused, text_of(in.getText())};
  });
}

std::optional<std::string> decode_refusal(byte_view payload) {
  return decode_message<wire::HelloRefused>(payload,
                                            [](wire::HelloRefused::Reader in) { return text_of(in.getReason()); });
}

std::optional<std::string> decode_name(byte_view payload) {
  auto name =
      decode_message<wire::ActorName>(payload, [](wire::ActorName::Reader in) { return text_of(in.getName()); });
  if (!name || name->size() > max_name_bytes)
    return std::nullopt;
  return name;
}

namespace {

/// One segment that is filled by a root struct without pointers, as in Cap'n Proto's encoding specification ("Structs",
/// "Serialization over a stream"): nothing in it can lead anywhere. Small messages are of this shape and so many that
/// the general reader's set-up would be most of their cost.
bool is_plain_struct(const capnp::word* words, std::size_t count) {
  std::uint32_t segments_less_one = 0, segment_words = 0;
  std::uint64_t root = 0;
  std::memcpy(&segments_less_one, words, 4);
  std::memcpy(&segment_words, reinterpret_cast<const char*>(words) + 4, 4);
  if (count < 2 || segments_less_one != 0 || segment_words != count - 1)
    return false;
  std::memcpy(&root, words + 1, 8);
  const auto data_words = (root >> 32) & 0xffff, pointers = root >> 48;
  // Kind 0, offset 0: the struct follows its pointer.
  return (root & 0xffff'ffff) == 0 && pointers == 0 && data_words <= count - 2;
}

} // namespace

bool well_formed(byte_view body) {
  if (body.empty())
    return true;
  if (body.size() % word_bytes != 0)
    return false;
  const auto* words = reinterpret_cast<const capnp::word*>(body.data());
  const auto count = body.size() / word_bytes;
  if (is_plain_struct(words, count))
    return true;
  capnp::ReaderOptions options;
  options.traversalLimitInWords = 2 * count + 16;
  options.nestingLimit = body_nesting_limit;
  try {
    capnp::FlatArrayMessageReader reader{kj::arrayPtr(words, count), options};
    if (reader.getEnd() != words + count)
      return false;
    (void)reader.getRoot<capnp::AnyPointer>().targetSize();
    return true;
  } catch (const kj::Exception&) {
    return false;
  }
}

} // namespace glocal::runtime
