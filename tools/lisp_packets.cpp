#include "tools/lisp_packets.hpp"

#include "dataplane/lisp/authentication.hpp"
#include "dataplane/overlay/encapsulation.hpp"
#include "tools/lisp_json.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace glocal::cli {
namespace {

using json = nlohmann::ordered_json;
using namespace dataplane;

/// Of a malformed payload, so many bytes are shown.
constexpr std::size_t shown_bytes = 128;

/// RFC 3339 with microseconds.
std::string time_text(std::chrono::nanoseconds since_epoch) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
  const std::time_t whole = seconds.count();
  std::tm parts{};
  ::gmtime_r(&whole, &parts);
  char text[48];
  const auto length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + length, sizeof text - length, ".%06ldZ",
                static_cast<long>((since_epoch - seconds) / std::chrono::microseconds{1}));
  return text;
}

std::string endpoint(const ip_address& address, std::uint16_t port) {
  const auto text = to_string(address);
  return (address.is_v4() ? text : "[" + text + "]") + ":" + std::to_string(port);
}

bool uses_port(const parsed_packet& packet, std::uint16_t port) {
  return packet.tuple.source_port == port || packet.tuple.destination_port == port;
}

std::string number_and(std::size_t count, const char* singular) {
  return std::to_string(count) + " " + singular + (count == 1 ? "" : "s");
}

} // namespace

site_key parse_site_key(std::string_view text) {
  const auto equals = text.find('=');
  if (equals != std::string_view::npos)
    if (const auto site = parse_prefix(text.substr(0, equals)))
      return {*site, std::string{text.substr(equals + 1)}};
  return {std::nullopt, std::string{text}};
}

json packet_describer::malformed(std::string why, byte_view payload) {
  ++counts_.malformed;
  return json{{"error", std::move(why)}, {"payload", hex_text(payload, shown_bytes)}};
}

/// With the keys of the site the first record belongs to, and those of any site.
std::string packet_describer::verdict_on(byte_view message, const json& shown) const {
  if (keys_.empty())
    return "not checked: no key given";
  const auto* records = shown.contains("records") ? &shown["records"] : nullptr;
  std::optional<ip_prefix> eid;
  if (records != nullptr && !records->empty()) {
    auto text = (*records)[0]["eid"].get<std::string>();
    if (const auto tenant_end = text.find(']'); tenant_end != std::string::npos)
      text.erase(0, tenant_end + 1);
    if (const auto prefix = parse_prefix(text))
      eid = *prefix;
  }
  std::optional<lisp::auth_verdict> verdict;
  for (const auto& key : keys_) {
    if (key.site && (!eid || !key.site->contains(*eid)))
      continue;
    verdict = lisp::verify(message, key.secret);
    if (*verdict == lisp::auth_verdict::good)
      break;
  }
  return verdict ? std::string{lisp::to_string(*verdict)} : "not checked: no key for this site";
}

json packet_describer::message_of(byte_view message) {
  const auto decoded = lisp::decode(message);
  if (!decoded)
    return {{"error", lisp::to_string(decoded.error())}};
  auto out = to_json(*decoded);
  if (const auto* outer = std::get_if<lisp::encapsulated_message>(&*decoded))
    out["message"] = message_of(outer->message);
  if (out.contains("authentication")) {
    const auto verdict = verdict_on(message, out);
    out["authentication"]["verdict"] = verdict;
    ++counts_.verdicts[verdict];
  }
  return out;
}

json packet_describer::describe_control(byte_view message) {
  auto shown = message_of(message);
  const auto* wrong = shown.contains("message") ? &shown["message"] : &shown;
  if (wrong->contains("error"))
    return malformed((wrong == &shown ? "" : "inside: ") + (*wrong)["error"].get<std::string>(), message);
  ++counts_.control;
  ++counts_.types[shown["type"].get<std::string>()];
  return json{{"message", std::move(shown)}};
}

json packet_describer::describe_data(byte_view payload) {
  if (payload.empty())
    return malformed("LISP header: cut short at byte 0", payload);
  constexpr unsigned gpe_flag = 0x04;
  const auto flags = load_u8(payload.data());
  const bool is_gpe = (flags & gpe_flag) != 0;
  const auto read = (is_gpe ? lisp_gpe_nsh() : dataplane::lisp()).read(payload);
  if (!read)
    return malformed(std::string{to_string(read.error())}, payload);
  // The parser wants Ethernet before IP.
  const auto ip = payload.subspan(read->header_bytes);
  bytes frame(ethernet_header_bytes);
  store_be16(frame.data() + 12, read->inner == packet_kind::ipv4 ? ethertype::ipv4 : ethertype::ipv6);
  frame.insert(frame.end(), ip.begin(), ip.end());
  parsed_packet inner;
  const auto drop = parse(frame, inner);
  const bool is_readable = !drop || *drop == drop_reason::fragment || *drop == drop_reason::ip_options;
  if (!is_readable)
    return malformed("inner packet: " + std::string{to_string(*drop)}, payload);
  ++counts_.data;
  json shown{{"type", !is_gpe                ? "LISP"
                      : read->header.has_nsh ? "LISP-GPE, NSH"
                                             : "LISP-GPE"},
             {"flags", json::array()},
             {"instance_id", read->header.instance_id}};
  constexpr std::pair<unsigned, const char*> names[] = {{0x80, "nonce"},       {0x40, "locator-status"},
                                                        {0x20, "echo-nonce"},  {0x10, "map-version"},
                                                        {0x08, "instance-id"}, {gpe_flag, "gpe"}};
  for (const auto& [bit, name] : names)
    if ((flags & bit) != 0)
      shown["flags"].push_back(name);
  if (read->header.has_nsh) {
    shown["path"] = read->header.spi;
    shown["service_index"] = read->header.si;
    // As on the wire; reading took one off.
    shown["nsh_ttl"] = (read->header.nsh_ttl + 1u) & 0x3f;
  }
  shown["inner"] = to_string(inner.tuple) + (inner.is_fragment ? " (fragment)" : "");
  shown["inner_bytes"] = inner.ip_total_length;
  ++counts_.types[shown["type"].get<std::string>()];
  return json{{"data", std::move(shown)}};
}

json packet_describer::describe(const captured_packet& packet) {
  ++counts_.packets;
  parsed_packet parsed;
  if (const auto drop = parse(packet.frame, parsed)) {
    if (packet.frame.size() < packet.wire_bytes)
      ++counts_.cut;
    else if (*drop == drop_reason::fragment && parsed.tuple.protocol == ip_protocol::udp)
      ++counts_.fragments;
    return nullptr;
  }
  if (parsed.tuple.protocol != ip_protocol::udp || parsed.kind == packet_kind::arp)
    return nullptr;
  const bool is_control = uses_port(parsed, lisp::control_port);
  if (!is_control && !uses_port(parsed, lisp_data_port))
    return nullptr;
  const auto payload = byte_view{packet.frame}.subspan(parsed.payload_offset, parsed.payload_length);
  json out{{"number", counts_.packets},
           {"time", time_text(packet.time)},
           {"source", endpoint(parsed.tuple.source, parsed.tuple.source_port)},
           {"destination", endpoint(parsed.tuple.destination, parsed.tuple.destination_port)},
           {"bytes", payload.size()}};
  const auto content = is_control ? describe_control(payload) : describe_data(payload);
  out.update(content);
  return out;
}

std::string packet_text(const json& packet) {
  std::string out;
  if (packet.contains("number"))
    out = "#" + std::to_string(packet["number"].get<std::size_t>()) + "  " + packet["time"].get<std::string>() + "  " +
          packet["source"].get<std::string>() + " > " + packet["destination"].get<std::string>() + "  ";
  if (packet.contains("error"))
    return out + "MALFORMED\n" + tree_text(json{{"error", packet["error"]}, {"payload", packet["payload"]}});
  auto shown = packet.contains("message") ? packet["message"] : packet["data"];
  out += shown["type"].get<std::string>();
  if (packet.contains("data"))
    out += " data";
  shown.erase("type");
  return out + "\n" + tree_text(shown);
}

json to_json(const packet_counts& counts) {
  return json{{"packets", counts.packets}, {"control", counts.control},
              {"data", counts.data},       {"malformed", counts.malformed},
              {"cut", counts.cut},         {"fragments", counts.fragments},
              {"types", counts.types},     {"authentication", counts.verdicts}};
}

std::string summary_text(const packet_counts& counts) {
  const auto listed = [](const std::map<std::string, std::size_t>& all) {
    std::string out;
    for (const auto& [name, count] : all)
      out += (out.empty() ? "" : ", ") + name + " " + std::to_string(count);
    return out;
  };
  std::string out = number_and(counts.control, "control message") + ", " + number_and(counts.data, "data message");
  if (counts.packets > 0)
    out = number_and(counts.packets, "packet") + ": " + out;
  if (!counts.types.empty())
    out += " (" + listed(counts.types) + ")";
  if (counts.malformed > 0)
    out += ", " + std::to_string(counts.malformed) + " malformed";
  if (counts.fragments > 0)
    out += ", " + number_and(counts.fragments, "UDP fragment") + " not looked at";
  if (counts.cut > 0)
    out += ", " + number_and(counts.cut, "packet") + " cut by the capture's snapshot length and not looked at";
  if (!counts.verdicts.empty())
    out += "; authentication: " + listed(counts.verdicts);
  return out + "\n";
}

} // namespace glocal::cli
