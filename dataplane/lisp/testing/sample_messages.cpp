#include "dataplane/lisp/testing/sample_messages.hpp"

namespace glocal::lisp::testing {
namespace {

ip_address ip(std::string_view text) {
  return parse_ip(text).value();
}

bytes some_bytes(std::size_t count) {
  bytes out(count);
  for (std::size_t i = 0; i < count; ++i)
    out[i] = static_cast<std::byte>(i * 37 + 1);
  return out;
}

xtr_identity identity() {
  xtr_identity out;
  for (std::size_t i = 0; i < out.xtr_id.size(); ++i)
    out.xtr_id[i] = static_cast<std::uint8_t>(0xa0 + i);
  out.site_id = 0x0102030405060708;
  return out;
}

locator at(address rloc, std::uint8_t priority = 1, std::uint8_t weight = 100) {
  locator out;
  out.priority = priority;
  out.weight = weight;
  out.multicast_weight = 7;
  out.local = true;
  out.reachable = true;
  out.rloc = std::move(rloc);
  return out;
}

mapping_record record(eid_prefix eid, std::vector<locator> locators) {
  mapping_record out;
  out.ttl_minutes = 1440;
  out.authoritative = true;
  out.map_version = 0x123;
  out.eid = std::move(eid);
  out.locators = std::move(locators);
  return out;
}

eid_prefix eid(std::string_view prefix, std::uint32_t instance_id = 0) {
  return make_eid(parse_prefix(prefix).value(), instance_id);
}

explicit_locator_path path() {
  return {{{false, false, true, ip("10.0.5.2")},
           {false, true, true, ip("10.0.6.2")},
           {true, false, false, ip("10.0.4.2")}}};
}

map_request request() {
  map_request out;
  out.nonce = 0x1122334455667788;
  out.source_eid = ip("192.168.1.3");
  out.itr_rlocs = {ip("10.0.3.2"), ip("2001:db8::3")};
  out.records = {{false, eid("192.168.2.0/24")}};
  return out;
}

std::vector<sample_message> make() {
  std::vector<sample_message> out;
  out.push_back({"Map-Request", request()});

  auto all_flags = request();
  all_flags.authoritative = all_flags.probe = all_flags.smr = all_flags.pitr = all_flags.smr_invoked = true;
  all_flags.local_xtr = all_flags.dont_reply_mapping = true;
  all_flags.own_mapping = record(eid("192.168.1.0/24"), {at(ip("10.0.3.2"))});
  out.push_back({"Map-Request with all flags and a mapping", all_flags});

  auto subscription = request();
  subscription.records = {{true, eid("192.168.2.0/24", 7)}, {true, eid("2001:db8:2::/48")}};
  subscription.identity = identity();
  out.push_back({"subscription", subscription});

  auto flow = request();
  flow.source_eid = no_address{};
  flow.records = {{false, make_flow_eid(parse_five_tuple("tcp 10.1.0.7:51514 > 203.0.113.9:80").value())}};
  out.push_back({"Map-Request for a flow", flow});
  flow.records = {{false, make_flow_eid(parse_five_tuple("udp [2001:db8::1]:5 > [2001:db8::2]:53").value(), 9)}};
  out.push_back({"Map-Request for an IPv6 flow of a tenant", flow});

  map_reply reply;
  reply.nonce = 1;
  reply.probe = reply.echo_nonce = true;
  reply.records = {record(eid("192.168.2.0/24"), {at(ip("10.0.4.2")), at(ip("2001:db8::4"), 2, 50), at(path(), 3, 0)})};
  out.push_back({"Map-Reply", reply});

  map_reply negative;
  negative.nonce = 2;
  negative.records = {record(eid("0.0.0.0/1"), {})};
  negative.records[0].action = map_action::natively_forward;
  negative.records[0].ttl_minutes = no_eid_ttl_minutes;
  out.push_back({"negative Map-Reply", negative});

  map_reply kinds;
  kinds.nonce = 3;
  kinds.records = {
      record({distinguished_name{"fw-1"}, 40}, {at(afi_list{{ip("10.0.4.2"), distinguished_name{"dc1"}}})}),
      record({mac_address{{2, 0, 0, 0, 0, 1}}, 48},
             {at(replication_list{{{0, ip("10.0.4.2")}, {1, ip("2001:db8::4")}}})}),
      record({source_destination{24, 32, ip("10.1.0.0"), ip("203.0.113.9")}, 0}, {at(ip("10.0.4.2"))})};
  out.push_back({"Map-Reply with names, lists and keys", kinds});

  map_reply rare;
  rare.nonce = 9;
  rare.records = {record(eid("192.168.2.0/24"),
                         {at(vendor_lcaf{0x00000c, some_bytes(5)}), at(opaque_lcaf{6, 1, 2, some_bytes(9)})}),
                  record({in_instance(5, application_data{0xb8, 17, {1000, 2000}, {53, 53}, ip("10.1.0.7")}), 0}, {})};
  rare.security = some_bytes(20);
  out.push_back({"Map-Reply with what few know", rare});

  map_register registration;
  registration.nonce = 4;
  registration.proxy_reply = registration.want_notify = registration.use_ttl = registration.merge = true;
  registration.auth = {0, algorithm::hmac_sha1_96, some_bytes(20)};
  registration.records = {record(eid("192.168.1.0/24", 7), {at(ip("10.0.3.2"))})};
  out.push_back({"Map-Register", registration});
  registration.security_capable = registration.eid_notify = registration.mobile_node = true;
  registration.identity = identity();
  registration.auth = {3, algorithm::hmac_sha256_128, some_bytes(16)};
  out.push_back({"Map-Register with identity", registration});

  map_notify notify;
  notify.nonce = 5;
  notify.auth = {0, algorithm::hmac_sha256_128, some_bytes(16)};
  notify.records = {record(eid("192.168.1.0/24"), {at(ip("10.0.3.2"))})};
  out.push_back({"Map-Notify", notify});
  notify.identity = identity();
  out.push_back({"Map-Notify with identity", notify});
  map_notify_ack acknowledgement;
  static_cast<notification&>(acknowledgement) = notify;
  acknowledgement.identity.reset();
  out.push_back({"Map-Notify-Ack", acknowledgement});

  info_message info;
  info.nonce = 6;
  info.auth = {0, algorithm::hmac_sha1_96, some_bytes(20)};
  info.ttl_minutes = 0;
  info.eid = eid("192.168.1.0/24");
  out.push_back({"Info-Request", info});
  info.is_reply = true;
  info.ttl_minutes = 1440;
  info.nat = nat_traversal{control_port, 40000, ip("198.51.100.1"), ip("10.0.2.2"), ip("10.0.3.2"), {ip("10.0.5.2")}};
  out.push_back({"Info-Reply", info});

  encapsulated_message encapsulated;
  encapsulated.source = ip("192.168.1.3");
  encapsulated.destination = ip("192.168.2.3");
  encapsulated.source_port = 40001;
  encapsulated.traffic_class = 0xc0;
  encapsulated.identification = 3;
  encapsulated.dont_fragment = true;
  encapsulated.message = encode(request()).value();
  out.push_back({"encapsulated Map-Request", encapsulated});
  encapsulated.ddt_originated = encapsulated.to_etr = encapsulated.to_map_server = true;
  encapsulated.source = ip("2001:db8::1");
  encapsulated.destination = ip("2001:db8::2");
  encapsulated.identification = 0;
  encapsulated.dont_fragment = false;
  encapsulated.flow_label = 0xabcde;
  encapsulated.odd_checksum = 0;
  out.push_back({"encapsulated Map-Request over IPv6 without checksum", encapsulated});
  return out;
}

} // namespace

const std::vector<sample_message>& sample_messages() {
  static const auto all = make();
  return all;
}

} // namespace glocal::lisp::testing
