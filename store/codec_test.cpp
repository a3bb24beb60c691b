#include "store/codec.hpp"

#include "store/codec_samples_test.hpp"

#include <catch2/catch.hpp>

using namespace glocal;
using namespace glocal::store;

namespace {

template <class T>
bool same(const expected<T, store_error>& a, const expected<T, store_error>& b) {
  if (a.has_value() != b.has_value())
    return false;
  return a ? *a == *b : a.error() == b.error();
}

} // namespace

TEST_CASE("every message reads back as it was written") {
  CHECK(*decode_batch(encode(samples::operations)) == samples::operations);
  CHECK(same(*decode_batch_reply(encode(samples::results)), samples::results));
  CHECK(same(*decode_batch_reply(encode(samples::refusal)), samples::refusal));
  CHECK(*decode_scan_request(encode(samples::scan)) == samples::scan);
  CHECK(same(*decode_scan_reply(encode(samples::page)), samples::page));
  CHECK(decode_scan_reply(encode(scan_reply{unexpected{store_error::timeout}}))->error() == store_error::timeout);
  CHECK(*decode_lease_request(encode(samples::lease)) == samples::lease);
  CHECK(*decode_watch_request(encode(samples::watch)) == samples::watch);
  CHECK(*decode_watch_cancel(encode(samples::cancel)) == samples::cancel);
  CHECK(*decode_watch_events(encode(samples::events)) == samples::events);
  CHECK(*decode_watch_progress(encode(samples::progress)) == samples::progress);
  CHECK(decode_lease_reply(encode(node_lease_reply{}))->reply);
  const auto leased = decode_lease_reply(encode(node_lease_reply{unexpected{store_error::no_such_lease}, {1, 7, 200}}));
  CHECK(leased->reply.error() == store_error::no_such_lease);
  CHECK(leased->slots == std::vector<slot_id>{1, 7, 200});
  const auto refused = decode_watch_reply(encode(node_watch_reply{unexpected{store_error::unavailable}, {1, 7}}));
  REQUIRE(refused);
  CHECK(refused->reply.error() == store_error::unavailable);
  CHECK(refused->refused == std::vector<slot_id>{1, 7});
}

TEST_CASE("what does not begin at a word boundary is read all the same") {
  const auto encoded = encode(samples::operations);
  bytes shifted(encoded.size() + 1);
  std::copy(encoded.begin(), encoded.end(), shifted.begin() + 1);
  CHECK(*decode_batch(byte_view{shifted}.subspan(1)) == samples::operations);
}

TEST_CASE("malformed messages are invalid") {
  CHECK(decode_batch({}).error() == store_error::invalid);
  CHECK(decode_batch(bytes(7)).error() == store_error::invalid);
  CHECK(decode_batch(bytes(64, std::byte{0xff})).error() == store_error::invalid);
  auto cut = encode(samples::operations);
  cut.resize(cut.size() / 16 * 8);
  CHECK(decode_batch(cut).error() == store_error::invalid);
}

TEST_CASE("values outside their range are invalid") {
  auto lease = samples::lease;
  lease.lease = 0;
  CHECK(decode_lease_request(encode(lease)).error() == store_error::invalid);
  lease = samples::lease;
  lease.ttl = std::chrono::milliseconds{1};
  CHECK(decode_lease_request(encode(lease)).error() == store_error::invalid);
  auto scan = samples::scan;
  scan.slot = limits::slots;
  CHECK(decode_scan_request(encode(scan)).error() == store_error::invalid);
  CHECK(decode_batch(encode(batch{put_op{table{99}, "k", "v"}})).error() == store_error::invalid);
  CHECK(decode_batch(encode(batch{put_op{table::paths, "", "v"}})).error() == store_error::invalid);
}

TEST_CASE("messages beyond the limits are too large") {
  CHECK(decode_batch(encode(batch(limits::batch_operations + 1, get_op{table::paths, "k"}))).error() ==
        store_error::too_large);
  CHECK(decode_batch(encode(batch{put_op{table::paths, std::string(limits::key_bytes + 1, 'k'), "v"}})).error() ==
        store_error::too_large);
  const std::string big(limits::value_bytes, 'v');
  CHECK(decode_batch(encode(batch(3, put_op{table::paths, "k", big}))).error() == store_error::too_large);
}

TEST_CASE("a full batch fits a frame of 1 MiB") {
  constexpr std::size_t frame_bytes = 1024 * 1024;
  const std::string value(limits::batch_bytes / limits::batch_operations - 42, 'v');
  const auto full =
      encode(batch(limits::batch_operations, compare_and_set_op{table::flows, std::string(42, 'k'), value, 1}));
  CHECK(decode_batch(full));
  CHECK(full.size() <= frame_bytes);
}
