#include "actors/lisp/testing/lisp_world.hpp"

#include <catch2/catch.hpp>

namespace glocal::lisp {
namespace {

using namespace testing;

bytes changed(bytes message, std::size_t at) {
  message[at] ^= std::byte{1};
  return message;
}

bytes signed_bytes(const map_register& message, std::string_view secret = branch_secret,
                   const auth_method& method = oor_method) {
  return encode_signed(message, secret, method).value();
}

std::string answered(const std::vector<datagram>& sent) {
  if (sent.empty())
    return "nothing";
  const auto message = decode(sent.front().payload).value();
  const auto* reply = std::get_if<map_reply>(&message);
  if (reply == nullptr)
    return std::string{to_string(type_of(message))};
  std::string out;
  for (const auto& record : reply->records) {
    out += (out.empty() ? "" : ", ") + to_string(record.eid);
    if (record.locators.empty())
      out += " " + to_string(record.action) + " " + std::to_string(record.ttl_minutes);
    for (const auto& one : record.locators)
      out += " " + to_string(one.rloc);
  }
  return out;
}

} // namespace

TEST_CASE("a Map-Register is acknowledged in its own terms, once it is in the store") {
  world w;
  const auto message = register_of({record_of("192.168.1.0/24", {locator_at("10.0.3.2")})}, 77);
  const struct {
    auth_method method;
    std::size_t bytes;
  } rows[] = {{{algorithm::hmac_sha1_96, 0, true}, 20},
              {{algorithm::hmac_sha1_96, 0, false}, 12},
              {{algorithm::hmac_sha256_128, 0, false}, 16},
              {{algorithm::hmac_sha256_128_hkdf, 0, false}, 16}};
  for (const auto& row : rows) {
    const auto sent = w.registered(message, "10.0.3.2", branch_secret, row.method);
    const auto notify = only<map_notify>(sent);
    CHECK(notify.nonce == 77);
    CHECK(notify.auth.algorithm_id == row.method.algorithm_id);
    CHECK(notify.auth.data.size() == row.bytes);
    CHECK(verify(sent.front().payload, branch_secret) == auth_verdict::good);
    CHECK(sent.front().remote == peer{ip("10.0.3.2"), 4342});
    CHECK(sent.front().local == ip("10.0.2.2"));
    REQUIRE(notify.records.size() == 1);
    CHECK(to_string(notify.records[0].eid) == "192.168.1.0/24");
    CHECK(notify.records[0].locators[0].rloc == address{ip("10.0.3.2")});
  }
  CHECK(w.server().database().size() == 1);
  CHECK(w.server().counters().written == 4);
}

TEST_CASE("registrations that are not right are refused and counted") {
  const auto right = register_of({record_of("192.168.1.0/24", {locator_at("10.0.3.2")})});
  auto two_sites = register_of({record_of("192.168.1.0/24", {}), record_of("203.0.113.0/24", {})});
  auto name = right;
  name.records[0].eid = {distinguished_name{"host"}, 0};
  auto unsigned_one = right;
  const struct {
    const char* what;
    bytes message;
    refusal why;
  } rows[] = {
      {"another key", signed_bytes(right, "Secret"), refusal::authentication_failed},
      {"a changed locator", changed(signed_bytes(right), 60), refusal::authentication_failed},
      {"a changed MAC", changed(signed_bytes(right), 20), refusal::authentication_failed},
      {"a key id the site has not", signed_bytes(right, branch_secret, {algorithm::hmac_sha1_96, 9, true}),
       refusal::unknown_key},
      {"no authentication", encode(unsigned_one).value(), refusal::unauthenticated},
      {"an algorithm the site's key must not use",
       signed_bytes(register_of({record_of("198.51.100.0/24", {})}), branch_secret, {algorithm::hmac_sha1_96, 3, true}),
       refusal::unknown_key},
      {"an EID of no site", signed_bytes(register_of({record_of("192.0.2.0/24", {})})), refusal::unknown_site},
      {"the right EID in another instance", signed_bytes(register_of({record_of("192.168.1.0/24", {}, 7)})),
       refusal::unknown_site},
      {"more than the site has", signed_bytes(register_of({record_of("192.0.0.0/8", {})})), refusal::unknown_site},
      {"a part of a prefix that is registered whole",
       signed_bytes(register_of({record_of("198.51.100.0/25", {})}), branch_secret,
                    {algorithm::hmac_sha256_128, 3, false}),
       refusal::more_specific},
      {"two sites", signed_bytes(two_sites), refusal::other_site},
      {"a name", signed_bytes(name), refusal::unsupported},
      {"no records", signed_bytes(register_of({})), refusal::malformed},
      {"cut short",
       [&] {
         auto m = signed_bytes(right);
         m.resize(m.size() - 1);
         return m;
       }(),
       refusal::malformed},
      {"a byte too long",
       [&] {
         auto m = signed_bytes(right);
         m.push_back({});
         return m;
       }(),
       refusal::malformed},
      {"nothing", {}, refusal::malformed},
      {"garbage", bytes(200, std::byte{0xa5}), refusal::unsupported},
      {"oversized", bytes(max_datagram_bytes + 1, std::byte{0x30}), refusal::oversized},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    world w;
    CHECK(w.receive(row.message).empty());
    CHECK(w.refused(row.why) == 1);
    CHECK(w.server().database().size() == 0);
  }
}

TEST_CASE("where nonces must increase, an old Map-Register is refused, also by another node") {
  world w{{"l1", "l2"}};
  const auth_method method{algorithm::hmac_sha256_128, 3, false};
  const auto at = [&](std::uint64_t nonce, const char* rloc, const std::string& node) {
    return w
        .registered(register_of({record_of("198.51.100.0/24", {locator_at(rloc)})}, nonce), "10.0.3.2", branch_secret,
                    method, node)
        .size();
  };
  CHECK(at(10, "10.0.3.2", "l1") == 1);
  CHECK(at(10, "10.0.3.2", "l1") == 0);
  CHECK(at(9, "10.0.3.2", "l2") == 0);
  CHECK(at(11, "10.0.3.9", "l2") == 1);
  CHECK(at(10, "10.0.3.2", "l1") == 0);
  CHECK(w.refused(refusal::replayed, "l1") == 2);
  CHECK(w.refused(refusal::replayed, "l2") == 1);
  // Others' nonces are their own.
  CHECK(w.registered(register_of({record_of("198.51.100.0/24", {locator_at("10.0.4.2")})}, 1), "10.0.4.2",
                     branch_secret, method)
            .size() == 1);
}

TEST_CASE("a refresh that changes nothing renews a lease when a third of the lifetime has passed, and else nothing") {
  world w;
  const auto message = [](std::uint64_t nonce) {
    return register_of({record_of("192.168.1.0/24", {locator_at("10.0.3.2")})}, nonce);
  };
  const auto& counted = w.server().counters();
  (void)w.registered(message(1));
  const auto puts = w.table->counters().puts;
  CHECK(only<map_notify>(w.registered(message(2))).nonce == 2);
  CHECK((counted.written == 1 && counted.refreshed == 1 && counted.renewed == 0));
  for (int minute = 1; minute <= 10; ++minute) {
    w.advance(60s);
    CHECK(only<map_notify>(w.registered(message(2 + minute))).nonce == 2u + minute);
  }
  CHECK(counted.renewed == 10);
  CHECK(w.table->counters().puts == puts);
  CHECK(w.server().database().size() == 1);
  // Nobody refreshes any more.
  w.advance(181s);
  CHECK(w.server().database().size() == 0);
}

TEST_CASE("what an xTR registers no more runs out, though it registers the rest") {
  world w;
  const auto one = record_of("192.168.1.0/24", {locator_at("10.0.3.2")});
  const auto two = record_of("192.168.2.0/24", {locator_at("10.0.3.2")});
  (void)w.registered(register_of({one, two}));
  CHECK(w.server().database().size() == 2);
  for (int minute = 0; minute < 4; ++minute) {
    (void)w.registered(register_of({one}));
    w.advance(60s);
  }
  CHECK(w.server().database().size() == 1);
}

TEST_CASE("with T the registration lives as long as its record") {
  world w;
  auto message = register_of({record_of("192.168.1.0/24", {locator_at("10.0.3.2")})});
  message.use_ttl = true;
  (void)w.registered(message);
  w.advance(9min);
  CHECK(w.server().database().size() == 1);
  w.advance(61s);
  CHECK(w.server().database().size() == 0);
}

TEST_CASE("a TTL of 0 withdraws, and is acknowledged") {
  world w;
  auto record = record_of("192.168.1.0/24", {locator_at("10.0.3.2")});
  (void)w.registered(register_of({record}));
  record.ttl_minutes = 0;
  CHECK(only<map_notify>(w.registered(register_of({record}))).records[0].ttl_minutes == 0);
  CHECK(w.server().database().size() == 0);
  CHECK(only<map_notify>(w.registered(register_of({record}))).records[0].ttl_minutes == 0);
}

TEST_CASE("registrations of one EID replace each other, unless both are to be merged") {
  world w;
  const auto say = [&](const char* rloc, bool merge, std::uint32_t ttl = 10) {
    auto message = register_of({record_of("203.0.113.0/24", {locator_at(rloc)})});
    message.records[0].ttl_minutes = ttl;
    message.merge = merge;
    return w.registered(message, rloc);
  };
  const auto asked = [&] {
    w.now += 10s;
    return answered(w.receive(encapsulated(request_for("203.0.113.9/32", "10.0.9.2"))));
  };
  (void)say("10.0.3.2", false);
  (void)say("10.0.4.2", false);
  CHECK(asked() == "203.0.113.0/24 10.0.4.2");
  (void)say("10.0.3.2", true);
  CHECK(asked() == "203.0.113.0/24 10.0.3.2");
  auto sent = say("10.0.5.2", true);
  std::erase_if(sent, [](const datagram& one) { return one.remote.address == ip("10.0.9.2"); }); // the asker's SMR
  CHECK(asked() == "203.0.113.0/24 10.0.3.2 10.0.5.2");
  // The one that registered is told what came of it, and so is the other (RFC 9301 section 8.2).
  REQUIRE(sent.size() == 2);
  for (const auto& one : sent)
    CHECK(std::get<map_notify>(decode(one.payload).value()).records[0].locators.size() == 2);
  CHECK((sent[0].remote.address == ip("10.0.3.2") && sent[1].remote.address == ip("10.0.5.2")));
  // Each lives by its own refreshes.
  (void)say("10.0.3.2", true, 0);
  CHECK(asked() == "203.0.113.0/24 10.0.5.2");
  (void)say("10.0.6.2", false);
  CHECK(asked() == "203.0.113.0/24 10.0.6.2");
}

TEST_CASE("Map-Requests are answered by the longest prefix, or with the largest hole") {
  world w;
  (void)w.registered(register_of(
      {record_of("192.168.0.0/16", {locator_at("10.0.3.2")}), record_of("192.168.2.0/24", {locator_at("10.0.4.2")})}));
  (void)w.registered(register_of({record_of("172.16.5.0/24", {locator_at("10.0.5.2")}, 7)}), "10.0.5.2", tenant_secret);
  w.table->put(store::table::mappings, model::keys::mapping(0, prefix("10.1.0.0/24")),
               model::encode(model::eid_mapping{0, prefix("10.1.0.0/24"), "edge", ip("172.30.1.2")}), 0, [](auto) {});
  w.table->run_until_idle();
  const struct {
    const char* eid;
    std::uint32_t instance;
    const char* answer;
  } rows[] = {
      {"192.168.2.9/32", 0, "192.168.2.0/24 10.0.4.2"},
      // The part of the /16 that does not hide the /24 in the asker's cache.
      {"192.168.1.9/32", 0, "192.168.0.0/23 10.0.3.2"},
      {"192.168.200.9/32", 0, "192.168.128.0/17 10.0.3.2"},
      {"192.168.3.0/24", 0, "192.168.3.0/24 10.0.3.2"},
      {"192.168.0.0/16", 0, "192.168.0.0/16 10.0.3.2"},
      {"10.1.0.7/32", 0, "10.1.0.0/24 172.30.1.2"},
      {"10.1.1.7/32", 0, "10.1.1.0/24 natively-forward 15"},
      {"198.51.100.7/32", 0, "198.51.100.0/24 natively-forward 1"},
      {"8.8.8.8/32", 0, "8.0.0.0/7 natively-forward 15"},
      {"fd00:1::7/128", 0, "fd00::/16 natively-forward 1"},
      {"2001:db8::1/128", 0, "::/1 natively-forward 15"},
      {"172.16.5.9/32", 7, "[7]172.16.5.0/24 10.0.5.2"},
      {"172.16.6.9/32", 7, "[7]172.16.6.0/23 natively-forward 1"},
      {"192.168.2.9/32", 7, "[7]192.0.0.0/2 natively-forward 15"},
      {"192.168.2.9/32", 8, "[8]0.0.0.0/0 natively-forward 15"},
  };
  for (const auto& row : rows) {
    INFO(row.eid << " in " << row.instance);
    auto request = request_for(row.eid, "10.0.3.2");
    request.records[0].eid = make_eid(prefix(row.eid), row.instance);
    const auto sent = w.receive("l1", encapsulated(request, "192.168.1.0", "192.168.2.0", 5555));
    CHECK(answered(sent) == row.answer);
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].remote == peer{ip("10.0.3.2"), 5555});
    CHECK(std::get<map_reply>(decode(sent[0].payload).value()).nonce == 99);
    w.now += 10s;
  }
}

TEST_CASE("who asks for a prefix is told of longer ones inside it, or to ask again soon") {
  world w;
  (void)w.registered(register_of(
      {record_of("192.168.0.0/16", {locator_at("10.0.3.2")}), record_of("192.168.2.0/24", {locator_at("10.0.4.2")})}));
  const auto full = w.receive(encapsulated(request_for("192.168.0.0/16", "10.0.3.2", "203.0.113.5")));
  CHECK(answered(full) == "192.168.0.0/16 10.0.3.2, 192.168.2.0/24 10.0.4.2");
  const auto oor = only<map_reply>(w.receive(encapsulated(request_for("192.168.0.0/16", "10.0.3.2"))));
  CHECK((oor.records.size() == 1 && oor.records[0].ttl_minutes == 1));
}

TEST_CASE("a plain Map-Request is answered to the port it came from, and each of its records") {
  world w;
  (void)w.registered(register_of({record_of("192.168.2.0/24", {locator_at("10.0.4.2")})}));
  auto request = request_for("192.168.2.9/32", "10.0.3.2");
  request.records.push_back({false, make_eid(prefix("fd00::1/128"))});
  const auto sent = w.receive("l1", encode(request).value(), "10.0.3.2", 6000);
  CHECK(answered(sent) == "192.168.2.0/24 10.0.4.2, fd00::/16 natively-forward 1");
  CHECK(sent[0].remote == peer{ip("10.0.3.2"), 6000});
}

TEST_CASE("the answer goes to an ITR-RLOC of the family the request came by") {
  world w;
  auto request = request_for("192.168.2.9/32", "fd00:3::2");
  request.itr_rlocs.push_back(ip("10.0.3.2"));
  CHECK(w.receive(encapsulated(request))[0].remote.address == ip("10.0.3.2"));
  request.itr_rlocs = {no_address{}, ip("224.0.0.1"), ip("fd00:3::2")};
  CHECK(w.receive(encapsulated(request))[0].remote.address == ip("fd00:3::2"));
  request.itr_rlocs = {no_address{}, ip("0.0.0.0")};
  CHECK(w.receive(encapsulated(request)).empty());
  CHECK(w.refused(refusal::no_itr_rloc) == 1);
}

TEST_CASE("without proxy-reply the ETR is asked, with the message it would have had") {
  world w;
  auto message = register_of({record_of("192.168.2.0/24", {locator_at("10.0.9.9", 2), locator_at("10.0.4.2", 1)})});
  message.proxy_reply = false;
  (void)w.registered(message, "10.0.4.2");
  const auto request = request_for("192.168.2.9/32", "10.0.3.2");
  for (const bool in_ecm : {true, false}) {
    INFO(in_ecm);
    const auto sent = w.receive(in_ecm ? encapsulated(request) : encode(request).value());
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].remote == peer{ip("10.0.4.2"), 4342});
    const auto outer = only<encapsulated_message>(sent);
    CHECK_FALSE(outer.odd_checksum);
    CHECK(outer.source == ip(in_ecm ? "192.168.1.0" : "10.0.3.2"));
    CHECK(std::get<map_request>(decode(outer.message).value()) == request);
  }
  CHECK(w.server().counters().forwarded == 2);
  message.records[0].locators = {locator_at("10.0.4.2", unusable_priority)};
  (void)w.registered(message, "10.0.4.2");
  CHECK(w.receive(encapsulated(request)).empty());
  CHECK(w.refused(refusal::no_etr) == 1);
}

TEST_CASE("an RLOC probe is answered to where it came from") {
  world w;
  (void)w.registered(register_of({record_of("192.168.2.0/24", {locator_at("10.0.4.2"), locator_at("10.0.2.2")})}));
  auto probe = request_for("192.168.2.0/24", "10.0.3.9", "");
  probe.probe = true;
  const auto sent = w.receive("l1", encode(probe).value(), "10.0.3.2", 6000);
  const auto reply = only<map_reply>(sent);
  CHECK((reply.probe && reply.nonce == 99));
  CHECK((!reply.records[0].locators[0].probed && reply.records[0].locators[1].probed));
  CHECK(sent[0].remote == peer{ip("10.0.3.2"), 6000});
}

TEST_CASE("nobody is sent what it does not survive") {
  world w;
  auto record = record_of("203.0.113.0/24", {locator_at("10.0.4.2")});
  auto list = locator_at("10.0.4.2");
  list.rloc = afi_list{{ip("10.0.4.2"), ip("fd00:4::2")}};
  auto path = locator_at("10.0.4.2");
  path.rloc = explicit_locator_path{{{false, false, true, ip("10.0.5.2")}, {false, false, true, ip("10.0.4.2")}}};
  record.locators = {list, path, locator_at("10.0.4.2")};
  (void)w.registered(register_of({record}));
  const struct {
    const char* source;
    std::size_t locators;
  } rows[] = {{"192.168.1.0", 2}, {"203.0.113.5", 3}, {"", 1}, {"192.0.2.1", 1}};
  for (const auto& row : rows) {
    INFO(row.source);
    w.now += 10s;
    CHECK(only<map_reply>(w.receive(encapsulated(request_for("203.0.113.9/32", "10.0.3.2", row.source))))
              .records[0]
              .locators.size() == row.locators);
  }
  record.locators = {list};
  (void)w.registered(register_of({record}));
  CHECK(w.receive(encapsulated(request_for("203.0.113.9/32", "10.0.3.2"))).empty());
  CHECK(w.refused(refusal::peer_profile) == 1);
}

TEST_CASE("sources are limited, and each EID of one; both can be switched off") {
  const auto served = [](std::uint32_t per_source, std::uint32_t per_eid, bool same_eid) {
    world w{{"l1"}, [&](map_server_settings& settings) { settings.limits = {per_source, per_eid}; }};
    int answers = 0;
    for (int i = 0; i < 100; ++i) {
      const auto eid = "192.168.1." + std::to_string(same_eid ? 7 : i) + "/32";
      answers += static_cast<int>(w.receive(encapsulated(request_for(eid, "10.0.3.2"))).size());
    }
    CHECK(static_cast<int>(w.refused(refusal::rate_limited)) == 100 - answers);
    // Another source has its own.
    CHECK(w.receive(encapsulated(request_for("192.168.1.7/32", "10.0.8.2")), "10.0.8.2").size() == 1);
    // It is not for ever.
    w.now += 10s;
    CHECK(w.receive(encapsulated(request_for("192.168.1.7/32", "10.0.3.2"))).size() == 1);
    return answers;
  };
  CHECK(served(0, 0, true) == 100);
  CHECK(served(0, 1, true) == 4);
  CHECK(served(0, 1, false) == 100);
  CHECK(served(20, 0, false) == 20);
}

TEST_CASE("nothing is answered before the state was read") {
  map_server server{settings_of("l1")};
  effects out;
  server.receive({{ip("10.0.3.2"), 4342}, ip("10.0.2.2"), encapsulated(request_for("192.168.1.7/32", "10.0.3.2"))},
                 map_server::time_point{}, out);
  CHECK(out.datagrams.empty());
  CHECK(server.counters()[refusal::not_ready] == 1);
}

TEST_CASE("messages that answer nothing of ours are counted") {
  world w;
  map_reply reply;
  reply.records = {record_of("192.168.1.0/24", {})};
  map_notify notify;
  notify.records = reply.records;
  auto smr = request_for("192.168.1.0/24", "10.0.3.2");
  smr.smr = true;
  map_notify_ack ack;
  ack.records = reply.records;
  for (const auto& message :
       {control_message{reply}, control_message{notify}, control_message{smr}, control_message{ack}})
    CHECK(w.receive(encode(message).value()).empty());
  CHECK(w.refused(refusal::unsolicited) == 4);
}

} // namespace glocal::lisp
