#include "runtime/frame.hpp"

#include "runtime/envelope_codec.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <random>

using namespace glocal;
using namespace glocal::runtime;

namespace {

struct received {
  frame_header header;
  bytes payload;

  bool operator==(const received&) const = default;
};

byte_view view(const std::vector<char>& chars) {
  return std::as_bytes(std::span{chars});
}

bytes pattern(std::size_t size) {
  bytes out(size);
  for (std::size_t i = 0; i < size; ++i)
    out[i] = static_cast<std::byte>(i * 7 + size);
  return out;
}

frame_cutter cutter_of(std::size_t run_bytes = std::size_t{64} << 10) {
  frame_cutter out;
  out.accept_runs(run_bytes);
  return out;
}

std::vector<received> cut_all(frame_cutter& cutter, byte_view chunk) {
  std::vector<received> out;
  REQUIRE(cutter.feed(chunk, [&](byte_view run) {
    for_each_frame(run, [&](const frame_header& header, byte_view payload) {
      out.push_back({header, {payload.begin(), payload.end()}});
      return true;
    });
    return true;
  }));
  return out;
}

frame_errc error_of(byte_view stream) {
  auto cutter = cutter_of();
  const auto outcome = cutter.feed(stream, [](byte_view) { return true; });
  REQUIRE_FALSE(outcome);
  return outcome.error();
}

/// A word-aligned copy, as bodies are.
bytes copy(byte_view from) {
  return {from.begin(), from.end()};
}

bytes words(std::initializer_list<std::uint64_t> values) {
  bytes out(values.size() * 8);
  std::memcpy(out.data(), values.begin(), out.size());
  return out;
}

} // namespace

TEST_CASE("a frame stream comes out as it went in, however it is cut") {
  std::vector<char> stream;
  std::vector<received> sent;
  for (const std::size_t size : {0u, 8u, 64u, 0u, 4096u, 70'000u, 16u}) {
    const frame_header header{static_cast<std::uint32_t>(size),     static_cast<std::uint16_t>(0xff00 + size % 100),
                              static_cast<frame_type>(size % 5),    static_cast<std::uint16_t>(size % 4096),
                              static_cast<std::uint16_t>(size % 7), static_cast<std::uint32_t>(size * 0x1'0001u)};
    const auto payload = pattern(size);
    append_frame(stream, header, payload);
    sent.push_back({header, payload});
  }
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 random{seed};
    const std::size_t longest = std::size_t{1} << (random() % 18);
    auto cutter = cutter_of(std::size_t{1} << (random() % 18));
    std::vector<received> got;
    for (byte_view rest = view(stream); !rest.empty();) {
      const auto size = std::min<std::size_t>(rest.size(), 1 + random() % longest);
      const auto more = cut_all(cutter, rest.first(size));
      got.insert(got.end(), more.begin(), more.end());
      rest = rest.subspan(size);
    }
    REQUIRE(got == sent);
  }
}

TEST_CASE("a stream that ends inside a frame yields nothing of it") {
  std::vector<char> stream;
  append_frame(stream, {.kind = 1, .type = frame_type::cast}, pattern(64));
  for (std::size_t size = 0; size < stream.size(); ++size) {
    auto cutter = cutter_of();
    CHECK(cut_all(cutter, view(stream).first(size)).empty());
  }
}

TEST_CASE("a header that promises too much, half words or an unknown type is an error") {
  std::byte raw[frame_header_bytes];
  store_header({.payload_bytes = max_payload_bytes + 8}, raw);
  CHECK(error_of(raw) == frame_errc::too_large);
  store_header({.payload_bytes = 12}, raw);
  CHECK(error_of(raw) == frame_errc::not_whole_words);
  store_header({.type = static_cast<frame_type>(5)}, raw);
  CHECK(error_of(raw) == frame_errc::unknown_type);
  // The same when the header arrives byte by byte.
  auto cutter = cutter_of();
  bool failed = false;
  for (const auto one : raw)
    failed = failed || !cutter.feed({&one, 1}, [](byte_view) { return true; });
  CHECK(failed);
}

TEST_CASE("frames before a bad one are passed on, the bad one is an error") {
  std::vector<char> stream;
  append_frame(stream, {.kind = 1}, pattern(8));
  append_frame(stream, {.kind = 2}, pattern(8));
  stream.resize(stream.size() + frame_header_bytes, '\x7f');
  auto cutter = cutter_of();
  std::size_t bytes = 0;
  CHECK_FALSE(cutter.feed(view(stream), [&](byte_view run) {
    bytes += run.size();
    return true;
  }));
  CHECK(bytes == 2 * (frame_header_bytes + 8));
}

TEST_CASE("runs are whole frames and no longer than asked for, but for a frame that is") {
  std::vector<char> stream;
  for (const std::size_t size : {8u, 8u, 8u, 200u, 8u})
    append_frame(stream, {.kind = 1}, pattern(size));
  auto cutter = cutter_of(60);
  std::vector<std::size_t> runs;
  CHECK(cutter.feed(view(stream), [&](byte_view run) {
    runs.push_back(run.size());
    return true;
  }));
  CHECK(runs == std::vector<std::size_t>{48, 24, 216, 24});
}

TEST_CASE("until the hello, frames come one by one and small") {
  std::vector<char> stream;
  append_frame(stream, {.kind = 1}, pattern(8));
  append_frame(stream, {.kind = 2}, pattern(max_hello_bytes + 8));
  // The first one changes what the second may be.
  frame_cutter cutter;
  std::vector<std::size_t> runs;
  CHECK(cutter.feed(view(stream), [&](byte_view run) {
    runs.push_back(run.size());
    cutter.accept_runs(std::size_t{64} << 10);
    return true;
  }));
  CHECK(runs.size() == 2);
  frame_cutter stern;
  CHECK_FALSE(stern.feed(view(stream), [](byte_view) { return true; }));
}

TEST_CASE("a cutter stops when it is told to") {
  std::vector<char> stream;
  for (int i = 0; i < 3; ++i)
    append_frame(stream, {.kind = 1}, pattern(8));
  auto cutter = cutter_of(8);
  int seen = 0;
  CHECK(cutter.feed(view(stream), [&](byte_view) { return ++seen < 2; }));
  CHECK(seen == 2);
}

TEST_CASE("what routers say to each other survives the wire") {
  const hello greeting{protocol_version, "cluster", "e1", 42, 4096};
  CHECK(decode_hello(encode(greeting)) == greeting);
  const failure problem{transport_errc::no_such_actor, "nobody@e1"};
  CHECK(decode_failure(encode(problem)) == problem);
  CHECK(decode_refusal(encode_refusal("wrong cluster")) == "wrong cluster");
  CHECK(decode_name(encode_name("edge/e1/service/web")) == "edge/e1/service/web");
}

TEST_CASE("long texts are cut, names that are too long are refused") {
  CHECK(decode_refusal(encode_refusal(std::string(5000, 'x')))->size() == max_text_bytes);
  CHECK_FALSE(decode_hello(encode(hello{protocol_version, "c", std::string(max_name_bytes + 1, 'n'), 1})));
  CHECK_FALSE(decode_hello(encode(hello{protocol_version, "c", "", 1})));
  CHECK_FALSE(decode_name(encode_name(std::string(max_name_bytes + 1, 'n'))));
}

TEST_CASE("a failure code of a later version means refused") {
  CHECK(decode_failure(encode(failure{static_cast<transport_errc>(200), "?"}))->code == transport_errc::refused);
  CHECK(decode_failure(encode(failure{static_cast<transport_errc>(0), "?"}))->code == transport_errc::refused);
}

TEST_CASE("cut messages are refused at every length") {
  const auto greeting = encode(hello{protocol_version, "cluster", "e1", 42});
  const auto body = encode_name("a body");
  for (std::size_t size = 0; size < greeting.size(); ++size)
    CHECK_FALSE(decode_hello(byte_view{greeting}.first(size)));
  for (std::size_t size = 1; size < body.size(); ++size)
    CHECK_FALSE(well_formed(copy(byte_view{body}.first(size))));
  CHECK(well_formed(body));
  CHECK(well_formed({}));
}

TEST_CASE("a body whose pointers leave it, loop or amplify is not well formed") {
  // One segment of n words; a struct pointer {offset, data words, pointer words} as in Cap'n Proto's encoding.
  const auto table = [](std::uint64_t segment_words) { return segment_words << 32; };
  const auto structure = [](std::int32_t offset, std::uint64_t data, std::uint64_t pointers) {
    return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(offset) << 2)) | data << 32 | pointers << 48;
  };
  CHECK(well_formed(words({table(1), 0})));
  CHECK(well_formed(words({table(2), structure(0, 1, 0), 7})));
  // Structs without pointers take a short way: it must not be wider.
  CHECK_FALSE(well_formed(words({table(2), structure(0, 2, 0), 7})));
  CHECK_FALSE(well_formed(words({table(3), structure(0, 1, 0), 7})));
  CHECK(well_formed(words({table(3), structure(0, 1, 0), 7, 7})));
  CHECK_FALSE(well_formed(words({table(2) | 1, structure(0, 1, 0), 7})));
  SECTION("past its end") {
    CHECK_FALSE(well_formed(words({table(1), structure(0, 1, 0)})));
  }
  SECTION("before its begin") {
    CHECK_FALSE(well_formed(words({table(2), structure(-9, 1, 0), 0})));
  }
  SECTION("to itself") {
    CHECK_FALSE(well_formed(words({table(2), structure(0, 0, 1), structure(-1, 0, 1)})));
  }
  SECTION("many times to the same") {
    // A struct of 20 pointers, each to the same 20 words.
    bytes body = words({table(41), structure(0, 0, 20)});
    for (int i = 0; i < 20; ++i) {
      const auto pointer = words({structure(19 - i, 20, 0)});
      body.insert(body.end(), pointer.begin(), pointer.end());
    }
    body.resize(8 + 41 * 8);
    CHECK_FALSE(well_formed(body));
  }
  SECTION("with a segment table that lies") {
    CHECK_FALSE(well_formed(words({0xffff'ffff, 0})));
    CHECK_FALSE(well_formed(words({table(5), 0})));
    CHECK_FALSE(well_formed(words({table(1), 0, 0}))); // something after it
  }
}
