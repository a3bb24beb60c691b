#include "tools/lisp_query.hpp"

#include "tools/glocal_table.hpp"
#include "tools/lisp_json.hpp"

#include <charconv>
#include <cstdio>

namespace glocal::cli {
namespace {

using json = nlohmann::ordered_json;
using lisp::eid_prefix;

constexpr std::size_t nonce_offset = 4, nonce_end = 12;

template <class Int>
std::optional<Int> parse_whole(std::string_view text) {
  Int out{};
  const auto [stop, failure] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (failure != std::errc{} || stop != text.data() + text.size())
    return std::nullopt;
  return out;
}

/// Whether `answer` is about what was asked: it holds the prefix, or it is the same flow or name.
bool holds(const eid_prefix& answer, const eid_prefix& asked) {
  if (instance_of(answer.eid) != instance_of(asked.eid))
    return false;
  const auto wide = ip_prefix_of(answer), narrow = ip_prefix_of(asked);
  if (wide && narrow)
    return wide->address.family == narrow->address.family && wide->contains(*narrow);
  if (wide.has_value() != narrow.has_value())
    // A flow may be answered by what holds its destination, when the server knows no flows.
    if (const auto flow = flow_of(asked); flow && wide)
      return wide->contains(flow->destination);
  return without_instance(answer.eid) == without_instance(asked.eid);
}

std::string endpoint_of(const ip_address& address, std::uint16_t port) {
  const auto text = to_string(address);
  return (address.is_v4() ? text : "[" + text + "]") + ":" + std::to_string(port);
}

std::string flags_of(const lisp::locator& locator) {
  std::string out;
  for (const auto& [set, name] : {std::pair{locator.reachable, "reachable"}, std::pair{locator.local, "local"},
                                  std::pair{locator.probed, "probed"}})
    if (set)
      out += (out.empty() ? "" : ", ") + std::string{name};
  return out.empty() ? "-" : out;
}

std::string milliseconds(std::chrono::microseconds time) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f ms", static_cast<double>(time.count()) / 1000);
  return text;
}

std::string record_text(const lisp::mapping_record& record) {
  std::string out = lisp::to_string(record.eid) + ": ";
  const auto ttl = "TTL " + std::to_string(record.ttl_minutes) + " min";
  if (record.locators.empty())
    return out + "nobody has it (" + lisp::to_string(record.action) + ", " + ttl + ")\n";
  out += ttl;
  if (record.action != lisp::map_action::no_action)
    out += ", " + lisp::to_string(record.action);
  if (record.authoritative)
    out += ", authoritative";
  if (record.map_version != 0)
    out += ", map version " + std::to_string(record.map_version);
  table locators{{"RLOC", "PRIORITY", "WEIGHT", "MULTICAST", "FLAGS"}};
  for (const auto& one : record.locators)
    locators.add({lisp::to_string(one.rloc),
                  one.priority == lisp::unusable_priority ? "do not use" : std::to_string(one.priority),
                  std::to_string(one.weight),
                  std::to_string(one.multicast_priority) + "/" + std::to_string(one.multicast_weight), flags_of(one)});
  return out + "\n" + locators.text();
}

} // namespace

std::optional<udp_endpoint> parse_udp_endpoint(std::string_view text, std::uint16_t default_port) {
  if (const auto address = parse_ip(text))
    return udp_endpoint{*address, default_port};
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos)
    return std::nullopt;
  auto host = text.substr(0, colon);
  const bool in_brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (in_brackets)
    host = host.substr(1, host.size() - 2);
  const auto address = parse_ip(host);
  const auto port = parse_whole<std::uint16_t>(text.substr(colon + 1));
  if (!address || !port || *port == 0 || address->is_v4() == in_brackets)
    return std::nullopt;
  return udp_endpoint{*address, *port};
}

std::string to_string(const udp_endpoint& endpoint) {
  return endpoint_of(endpoint.address, endpoint.port);
}

std::optional<eid_prefix> parse_query_eid(std::string_view text) {
  std::uint32_t instance_id = 0;
  // Not the bracket of an IPv6 endpoint: those stand behind a protocol.
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    const auto number =
        end == std::string_view::npos ? std::nullopt : parse_whole<std::uint32_t>(text.substr(1, end - 1));
    if (!number)
      return std::nullopt;
    instance_id = *number;
    text.remove_prefix(end + 1);
  }
  if (const auto prefix = parse_prefix(text))
    return lisp::make_eid(*prefix, instance_id);
  if (const auto flow = parse_five_tuple(text))
    return lisp::make_flow_eid(*flow, instance_id);
  return std::nullopt;
}

expected<bytes, lisp::encode_error> query_message(const query& asked) {
  lisp::map_request request;
  request.nonce = asked.nonce;
  request.itr_rlocs = {asked.local.address};
  request.records = {{false, asked.eid}};
  auto plain = lisp::encode(request);
  if (!plain || !asked.encapsulated)
    return plain;
  lisp::encapsulated_message outer;
  outer.source = asked.local.address;
  outer.source_port = asked.local.port;
  // RFC 9301 section 5.8 addresses the inner packet to the EID. An EID of another family, or none that is an address,
  // cannot be; then the server is as good, which looks at the records.
  const auto* eid = without_instance(asked.eid.eid).get_if<ip_address>();
  outer.destination = eid != nullptr && eid->family == outer.source.family ? *eid : asked.server.address;
  outer.message = std::move(*plain);
  return lisp::encode(outer);
}

query_answer read_answer(byte_view datagram, const query& asked) {
  query_answer out;
  if (datagram.empty() || load_u8(datagram.data()) >> 4 != static_cast<std::uint8_t>(lisp::message_type::map_reply))
    return out;
  // Before all else: what has not our nonce was not written for us.
  if (datagram.size() < nonce_end || load_be64(datagram.data() + nonce_offset) != asked.nonce) {
    out.what = query_answer::kind::bad_nonce;
    return out;
  }
  auto decoded = lisp::decode(datagram);
  if (!decoded) {
    out.what = query_answer::kind::malformed;
    out.why = lisp::to_string(decoded.error());
    return out;
  }
  out.reply = std::move(std::get<lisp::map_reply>(*decoded));
  out.what = query_answer::kind::other_eid;
  for (const auto& record : out.reply.records)
    if (holds(record.eid, asked.eid)) {
      out.what = record.locators.empty() ? query_answer::kind::negative : query_answer::kind::mapping;
      break;
    }
  return out;
}

void ignored_answers::add(const query_answer& answer) {
  switch (answer.what) {
  case query_answer::kind::mapping:
  case query_answer::kind::negative: break;
  case query_answer::kind::other: ++other; break;
  case query_answer::kind::bad_nonce: ++bad_nonce; break;
  case query_answer::kind::malformed:
    ++malformed;
    malformed_why = answer.why;
    break;
  case query_answer::kind::other_eid: ++other_eid; break;
  }
}

std::string ignored_text(const ignored_answers& ignored) {
  std::string out;
  const auto add = [&](std::size_t count, const std::string& what) {
    if (count > 0)
      out += (out.empty() ? "ignored: " : ", ") + std::to_string(count) + " " + what;
  };
  add(ignored.bad_nonce, "with another nonce");
  add(ignored.other_eid, "about another EID");
  add(ignored.malformed, "malformed (" + ignored.malformed_why + ")");
  add(ignored.other, "that are no Map-Reply");
  return out;
}

json to_json(const answered_query& answered) {
  auto records = json::array();
  for (const auto& record : answered.reply.records)
    records.push_back(to_json(record));
  return json{{"query", lisp::to_string(answered.asked.eid)},
              {"server", to_string(answered.asked.server)},
              {"from", to_string(answered.from)},
              {"nonce", nonce_text(answered.asked.nonce)},
              {"round_trip_us", answered.round_trip.count()},
              {"sent", answered.sent},
              {"ignored",
               {{"bad_nonce", answered.ignored.bad_nonce},
                {"other_eid", answered.ignored.other_eid},
                {"malformed", answered.ignored.malformed},
                {"other", answered.ignored.other}}},
              {"records", records}};
}

std::string answer_text(const answered_query& answered) {
  std::string out;
  for (const auto& record : answered.reply.records)
    out += record_text(record);
  out += "from " + to_string(answered.from) + " in " + milliseconds(answered.round_trip);
  if (answered.sent > 1)
    out += " after " + std::to_string(answered.sent) + " requests";
  out += "\n";
  if (answered.ignored.any())
    out += ignored_text(answered.ignored) + "\n";
  return out;
}

} // namespace glocal::cli
