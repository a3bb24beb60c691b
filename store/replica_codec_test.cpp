#include "store/replica_codec.hpp"

#include "store/codec_samples_test.hpp"

#include <catch2/catch.hpp>

using namespace glocal;
using namespace glocal::store;

namespace {

bool same(const std::vector<entry_ref>& a, const std::vector<entry_ref>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) { return *x == *y; });
}

bytes pack(const replica_message& one) {
  return encode(std::vector<replica_message>{one});
}
expected<replica_message, store_error> unpack(byte_view in) {
  auto all = decode_replica_messages(in);
  if (!all)
    return unexpected{all.error()};
  REQUIRE(all->size() == 1);
  return std::move(all->front());
}

} // namespace

TEST_CASE("messages of many slots travel in one frame") {
  const auto messages = samples::messages();
  const auto again = decode_replica_messages(encode(messages));
  REQUIRE(again);
  CHECK(again->size() == messages.size());
  CHECK(encode(*again) == encode(messages));
}

TEST_CASE("every message between replicas reads back as it was written") {
  const auto messages = samples::messages();
  for (std::size_t i = 0; i < messages.size(); ++i) {
    INFO("message " << i);
    const auto again = unpack(pack(messages[i]));
    REQUIRE(again);
    CHECK(again->slot == 12);
    CHECK(again->from == member{"edge-1", 1});
    CHECK(again->to == member{"edge-2", 7});
    CHECK(again->epoch == 4);
    CHECK(again->body.index() == messages[i].body.index());
    CHECK(pack(*again) == pack(messages[i]));
  }
  const auto append = std::get<append_message>(unpack(pack(messages[0]))->body);
  CHECK(same(append.entries, samples::log()));
  CHECK(append.prev == log_position{2, 9});
  CHECK(append.commit == 8);
  CHECK(append.confirm == 5);
  const auto reply = std::get<append_reply>(unpack(pack(messages[2]))->body);
  CHECK(reply.match == 9);
  CHECK(reply.checked == 11);
  CHECK(reply.rejected);
  const auto part = std::get<snapshot_message>(unpack(pack(messages[3]))->body);
  CHECK(part.entries == std::vector<entry>{samples::row, samples::row});
  CHECK(part.leases == std::vector<lease_record>{{7, std::chrono::seconds{10}, 11}});
  CHECK(part.last);
}

TEST_CASE("every record of the log reads back as it was written") {
  const auto write = std::get<log_write>(*decode_log_payload(encode(log_payload{log_write{7, samples::log()}})));
  CHECK(write.truncate_after == 7u);
  CHECK(same(write.entries, samples::log()));
  const auto append = std::get<log_write>(*decode_log_payload(encode(log_payload{log_write{std::nullopt, {}}})));
  CHECK_FALSE(append.truncate_after.has_value());
  CHECK(std::get<log_install>(*decode_log_payload(encode(log_payload{log_install{{3, 20}}}))).at ==
        log_position{3, 20});
}

TEST_CASE("what is asked of the register and answered reads back as it was written") {
  CHECK(*decode_register_request(encode(samples::register_read)) == samples::register_read);
  CHECK(*decode_register_request(encode(samples::register_set)) == samples::register_set);
  const auto outcome = decode_register_reply(encode(samples::register_outcome));
  REQUIRE(outcome);
  CHECK(outcome->what == samples::register_outcome.what);
  CHECK(outcome->now == samples::register_outcome.now);
  auto crowd = samples::register_set;
  crowd.wanted->members.assign(limits::view_members + 1, {"s", 1});
  CHECK(decode_register_request(encode(crowd)).error() == store_error::too_large);
}

TEST_CASE("what replicas must not be told is refused") {
  const auto refused = [](decltype(replica_message::body) body, member from = {"a", 1}, slot_id slot = 1) {
    const auto result = unpack(pack(replica_message{slot, std::move(from), {"b", 1}, 1, body}));
    return result ? std::nullopt : std::optional{result.error()};
  };
  const auto with = [](command what, log_index index = 1) {
    return append_message{{}, {samples::logged({1, index}, std::move(what))}, 0, 0};
  };
  CHECK_FALSE(refused(with(noop_command{})).has_value());
  CHECK(refused(with(noop_command{}, 0)) == store_error::invalid);
  CHECK(refused(with(noop_command{}, ~log_index{0})) == store_error::invalid);
  CHECK(refused(with(batch_command{{put_op{table::paths, "", "v", 0}}, {}})) == store_error::invalid);
  CHECK(refused(with(batch_command{{put_op{table::paths, std::string(limits::key_bytes + 1, 'k'), "v", 0}}, {}})) ==
        store_error::too_large);
  CHECK(refused(with(renew_command{{{1, limits::longest_ttl + std::chrono::milliseconds{1}, 0}}})) ==
        store_error::invalid);
  CHECK(refused(join_message{}, {std::string(300, 'n'), 1}) == store_error::too_large);
  CHECK(refused(join_message{}, {"a", 1}, limits::slots) == store_error::invalid);
  const std::vector<entry_ref> many(limits::log_entries + 1, samples::logged({1, 1}, noop_command{}));
  CHECK(refused(append_message{{}, many, 0, 0}) == store_error::too_large);
  CHECK(decode_log_payload(bytes(7)).error() == store_error::invalid);
}

TEST_CASE("payload_bytes bounds what an entry takes in a message") {
  for (const auto& entry : samples::log()) {
    const auto empty = pack(replica_message{1, {"a", 1}, {"b", 1}, 1, append_message{{}, {}, 0, 0}}).size();
    const auto whole = pack(replica_message{1, {"a", 1}, {"b", 1}, 1, append_message{{}, {entry}, 0, 0}}).size();
    CHECK(whole - empty <= payload_bytes(entry->what) + framing_bytes);
  }
}
