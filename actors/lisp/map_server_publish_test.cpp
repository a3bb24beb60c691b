#include "actors/lisp/testing/lisp_world.hpp"

#include <catch2/catch.hpp>

namespace glocal::lisp {
namespace {

using namespace testing;

/// Site `modern`'s xTR number `id` wants to be told about `eid`.
map_request subscription(std::string_view eid, std::uint64_t nonce, std::uint8_t id = 1, std::uint64_t site_id = 42) {
  auto out = request_for(eid, "10.0.3.2", "203.0.113.200", nonce);
  out.records[0].notify = true;
  out.identity.emplace();
  out.identity->xtr_id[0] = id;
  out.identity->site_id = site_id;
  return out;
}

bytes acknowledged(const map_notify& notify, std::string_view secret = branch_secret) {
  map_notify_ack ack;
  ack.nonce = notify.nonce;
  ack.records = notify.records;
  return encode_signed(ack, secret, {algorithm::hmac_sha256_128_hkdf, 0, false}).value();
}

map_register branch_at(std::string_view rloc, std::string_view eid = "192.168.2.0/24") {
  return register_of({record_of(eid, {locator_at(rloc)})});
}

} // namespace

TEST_CASE("a subscriber is acknowledged, told of each change with the next nonce, and acknowledges") {
  world w;
  (void)w.registered(branch_at("10.0.4.2"));
  auto sent = w.receive(encapsulated(subscription("192.168.2.0/24", 100)));
  auto notify = only<map_notify>(sent);
  CHECK(notify.nonce == 100);
  CHECK(verify(sent[0].payload, branch_secret) == auth_verdict::good);
  CHECK(sent[0].remote == peer{ip("10.0.3.2"), 4342});
  CHECK(notify.records[0].locators[0].rloc == address{ip("10.0.4.2")});
  CHECK(w.receive(acknowledged(notify)).empty());
  CHECK(w.server().unacknowledged() == 0);

  for (std::uint64_t i = 1; i <= 3; ++i) {
    const auto rloc = "10.0.4." + std::to_string(10 + i);
    const auto both = w.registered(branch_at(rloc), "10.0.4.2");
    REQUIRE(both.size() == 2); // the registrant's own and the subscriber's, in whichever order
    const auto& news = both[0].remote.address == ip("10.0.3.2") ? both[0] : both[1];
    notify = std::get<map_notify>(decode(news.payload).value());
    CHECK(notify.nonce == 100 + i);
    CHECK(notify.records[0].locators[0].rloc == address{ip(rloc)});
    (void)w.receive(acknowledged(notify));
  }
  CHECK(w.server().counters().acknowledged == 4);
  w.advance(10s);
  CHECK(w.sent().empty());
}

TEST_CASE("a Map-Notify that is not acknowledged is sent three times; a new subscription then ends") {
  world w;
  (void)w.registered(branch_at("10.0.4.2"));
  const auto notify = only<map_notify>(w.receive(encapsulated(subscription("192.168.2.0/24", 100))));
  w.advance(1s);
  CHECK(w.sent().size() == 1);
  w.advance(1s);
  CHECK(only<map_notify>(w.sent()) == notify);
  CHECK(w.server().subscriptions().size() == 1);
  w.advance(10s);
  CHECK(w.sent().empty());
  CHECK(w.server().subscriptions().empty());

  // One that was acknowledged once lives on.
  const auto again = only<map_notify>(w.receive(encapsulated(subscription("192.168.2.0/24", 200))));
  (void)w.receive(acknowledged(again));
  (void)w.registered(branch_at("10.0.4.9"), "10.0.4.2");
  w.advance(10s);
  CHECK(w.sent().size() == 2);
  CHECK(w.server().subscriptions().size() == 1);
}

TEST_CASE("what is wrong with subscriptions and acknowledgements is refused and counted") {
  world w;
  (void)w.registered(branch_at("10.0.4.2"));
  SECTION("a site that cannot subscribe is answered") {
    auto request = subscription("192.168.2.0/24", 100, 1, 0);
    request.source_eid = ip("192.168.1.0");
    CHECK(only<map_reply>(w.receive(encapsulated(request))).records.size() == 1);
    CHECK(w.refused(refusal::peer_profile) == 1);
  }
  SECTION("so is who is of no site") {
    auto request = subscription("192.168.2.0/24", 100, 1, 0);
    request.source_eid = ip("8.8.8.8");
    CHECK(only<map_reply>(w.receive(encapsulated(request))).records.size() == 1);
    CHECK(w.refused(refusal::unknown_site) == 1);
  }
  SECTION("an old nonce") {
    (void)w.receive(encapsulated(subscription("192.168.2.0/24", 100)));
    CHECK(w.receive(encapsulated(subscription("192.168.2.0/24", 100))).empty());
    CHECK(w.receive(encapsulated(subscription("192.168.2.0/24", 99))).empty());
    CHECK(w.refused(refusal::replayed) == 2);
    CHECK(only<map_notify>(w.receive(encapsulated(subscription("192.168.2.0/24", 101)))).nonce == 101);
  }
  SECTION("acknowledgements with another key, nonce or sender") {
    auto notify = only<map_notify>(w.receive(encapsulated(subscription("192.168.2.0/24", 100))));
    (void)w.receive(acknowledged(notify, "Secret"));
    (void)w.receive(acknowledged(notify), "10.0.8.2");
    ++notify.nonce;
    (void)w.receive(acknowledged(notify));
    CHECK(w.refused(refusal::authentication_failed) == 1);
    CHECK(w.refused(refusal::unsolicited) == 2);
    CHECK(w.server().unacknowledged() == 1);
  }
}

TEST_CASE("a subscription ends with an ITR-RLOC of AFI 0, which is acknowledged with a TTL of 0") {
  world w;
  (void)w.registered(branch_at("10.0.4.2"));
  (void)w.receive(acknowledged(only<map_notify>(w.receive(encapsulated(subscription("192.168.2.0/24", 100))))));
  auto end = subscription("192.168.2.0/24", 101);
  end.itr_rlocs = {no_address{}};
  const auto sent = w.receive(encapsulated(end));
  const auto notify = only<map_notify>(sent);
  CHECK((notify.nonce == 101 && notify.records[0].ttl_minutes == 0));
  CHECK(sent[0].remote.address == ip("10.0.3.2"));
  CHECK(w.server().subscriptions().empty());
  (void)w.receive(acknowledged(notify));
  CHECK(w.registered(branch_at("10.0.4.9"), "10.0.4.2").size() == 1);
  end.nonce = 102;
  CHECK(w.receive(encapsulated(end)).empty());
  CHECK(w.refused(refusal::unsolicited) == 1);
}

TEST_CASE("subscribers hear of more specific prefixes, of withdrawals and of what covers them") {
  world w;
  const auto news = [&](const std::vector<datagram>& sent) {
    std::string out;
    for (const auto& one : sent)
      if (one.remote.address == ip("10.0.3.2")) {
        const auto notify = std::get<map_notify>(decode(one.payload).value());
        for (const auto& record : notify.records) {
          out += to_string(record.eid) + " " + std::to_string(record.ttl_minutes);
          for (const auto& each : record.locators)
            out += " " + to_string(each.rloc);
          out += ";";
        }
      }
    return out;
  };
  CHECK(news(w.receive(encapsulated(subscription("192.168.2.0/24", 100)))) == "192.168.0.0/16 1;");
  CHECK(news(w.registered(branch_at("10.0.4.2", "192.168.0.0/16"), "10.0.4.2")) == "192.168.0.0/16 10 10.0.4.2;");
  CHECK(news(w.registered(branch_at("10.0.5.2", "192.168.2.128/25"), "10.0.5.2")) == "192.168.2.128/25 10 10.0.5.2;");
  auto gone = branch_at("10.0.5.2", "192.168.2.128/25");
  gone.records[0].ttl_minutes = 0;
  CHECK(news(w.registered(gone, "10.0.5.2")) == "192.168.2.128/25 0;");
  CHECK(news(w.registered(branch_at("10.0.5.2", "192.168.3.0/24"), "10.0.5.2")).empty());
}

TEST_CASE("when the node that tells a subscriber dies, another goes on with the next nonce") {
  world w{{"l1", "l2", "l3"}};
  (void)w.registered(branch_at("10.0.4.2"));
  (void)w.receive(acknowledged(only<map_notify>(w.receive(encapsulated(subscription("192.168.2.0/24", 100))))));
  w.kill("l1");
  w.advance(5s);
  // Nobody tells it while the dead node's lease lives; nothing is lost by that.
  (void)w.registered(branch_at("10.0.4.9"), "10.0.4.2", branch_secret, oor_method, "l2");
  CHECK((w.sent("l2").empty() && w.sent("l3").empty()));
  w.advance(10s);
  auto sent = w.sent("l2");
  for (auto& one : w.sent("l3"))
    sent.push_back(std::move(one));
  REQUIRE(!sent.empty());
  const auto notify = std::get<map_notify>(decode(sent[0].payload).value());
  CHECK(notify.nonce == 101);
  CHECK(notify.records[0].locators[0].rloc == address{ip("10.0.4.9")});
  CHECK(w.server("l2").counters().adopted + w.server("l3").counters().adopted == 1);
  const std::string heir = w.server("l2").counters().adopted == 1 ? "l2" : "l3";
  (void)w.receive(heir, acknowledged(notify));
  CHECK(w.server(heir).unacknowledged() == 0);
}

TEST_CASE("who does not subscribe is sent an SMR for what it asked, with an EID of its own") {
  world w;
  (void)w.registered(register_of({record_of("192.168.1.0/24", {locator_at("10.0.3.2")})}));
  (void)w.registered(branch_at("10.0.4.2"), "10.0.4.2");
  (void)w.receive(encapsulated(request_for("192.168.2.9/32", "10.0.3.2", "192.168.1.7")));
  const auto sent = w.registered(branch_at("10.0.44.2"), "10.0.4.2");
  REQUIRE(sent.size() == 2);
  const auto& pushed = sent[0].remote.address == ip("10.0.3.2") ? sent[0] : sent[1];
  CHECK(pushed.remote == peer{ip("10.0.3.2"), 4342});
  const auto smr = std::get<map_request>(decode(pushed.payload).value());
  CHECK(smr.smr);
  CHECK(smr.source_eid == address{ip("192.168.2.0")});
  CHECK(smr.itr_rlocs == std::vector<address>{ip("10.0.2.2")});
  CHECK(to_string(smr.records[0].eid) == "192.168.1.0/24");

  // At most one in three seconds; the last change is not forgotten.
  CHECK(w.registered(branch_at("10.0.45.2"), "10.0.4.2").size() == 1);
  CHECK(w.registered(branch_at("10.0.46.2"), "10.0.4.2").size() == 1);
  w.advance(2s);
  CHECK(w.sent().empty());
  w.advance(2s);
  CHECK(w.sent().size() == 1);
  // Who has asked again in the meantime need not be told.
  (void)w.registered(branch_at("10.0.47.2"), "10.0.4.2");
  (void)w.receive(encapsulated(request_for("192.168.2.9/32", "10.0.3.2", "192.168.1.7")));
  w.advance(10s);
  CHECK(w.sent().empty());
}

TEST_CASE("who was told that nobody is there is sent an SMR when somebody comes") {
  world w;
  (void)w.receive(encapsulated(request_for("192.168.2.9/32", "10.0.3.2", "192.168.1.7")));
  CHECK(w.registered(branch_at("10.0.4.2"), "10.0.4.2").size() == 2);
}

TEST_CASE("what is believed no more needs no SMR") {
  world w;
  (void)w.registered(branch_at("10.0.4.2"), "10.0.4.2");
  (void)w.receive(encapsulated(request_for("192.168.2.9/32", "10.0.3.2", "192.168.1.7")));
  w.now += 11min;
  CHECK(w.registered(branch_at("10.0.44.2"), "10.0.4.2").size() == 1);
}

TEST_CASE("changes made by others than xTRs are pushed too, by every node to those it answered") {
  world w{{"l1", "l2"}};
  (void)w.receive("l2", encapsulated(request_for("10.1.0.7/32", "10.0.3.2", "192.168.1.7")));
  w.table->put(store::table::mappings, model::keys::mapping(0, prefix("10.1.0.0/24")),
               model::encode(model::eid_mapping{0, prefix("10.1.0.0/24"), "edge", ip("172.30.1.2")}), 0, [](auto) {});
  w.table->run_until_idle();
  CHECK(w.sent("l1").empty());
  CHECK(only<map_request>(w.sent("l2")).smr);
}

} // namespace glocal::lisp
