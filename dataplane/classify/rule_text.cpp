#include "dataplane/classify/rule_text.hpp"

#include <array>
#include <charconv>
#include <cstdio>

namespace glocal::dataplane {
namespace {

template <class Int>
bool read_number(std::string_view text, Int& out, int base = 10) {
  const auto* end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, out, base);
  return failure == std::errc{} && stop == end;
}

template <class Int>
bool read_number(std::string_view text, std::optional<Int>& out) {
  return read_number(text, out.emplace());
}

bool read_prefix(std::string_view text, std::optional<ip_prefix>& out) {
  const auto prefix = parse_prefix(text);
  if (prefix)
    out = *prefix;
  return prefix.has_value();
}

bool read_ports(std::string_view text, l4_port_range& out) {
  const auto dash = text.find('-');
  if (dash == std::string_view::npos)
    return read_number(text, out.low) && read_number(text, out.high);
  return read_number(text.substr(0, dash), out.low) && read_number(text.substr(dash + 1), out.high);
}

bool read_flags_byte(std::string_view text, std::uint8_t& out) {
  return text.starts_with("0x") ? read_number(text.substr(2), out, 16) : read_number(text, out);
}

/// One key: how its value is read, and what to say when it can't be. Keys are few: searched in order.
struct field {
  std::string_view key;
  bool (*read)(std::string_view value, rule_match& into);
  std::string_view expects;
};

constexpr std::array fields{
    field{"in_port", [](std::string_view v, rule_match& m) { return read_number(v, m.in_port); }, "a port number"},
    field{"vlan", [](std::string_view v, rule_match& m) { return read_number(v, m.vlan); }, "a VLAN from 0 to 4094"},
    field{"src", [](std::string_view v, rule_match& m) { return read_prefix(v, m.source); },
          "a prefix without host bits, as 10.1.0.0/16"},
    field{"dst", [](std::string_view v, rule_match& m) { return read_prefix(v, m.destination); },
          "a prefix without host bits, as 10.1.0.0/16"},
    field{"proto",
          [](std::string_view v, rule_match& m) {
            const auto protocol = parse_protocol(v);
            if (protocol)
              m.protocol = *protocol;
            return protocol.has_value();
          },
          "tcp, udp, icmp, icmp6, sctp or a number up to 255"},
    field{"dscp", [](std::string_view v, rule_match& m) { return read_number(v, m.dscp); }, "a value from 0 to 63"},
    field{"sport", [](std::string_view v, rule_match& m) { return read_ports(v, m.source_ports); },
          "a port or a range, as 1024-65535"},
    field{"dport", [](std::string_view v, rule_match& m) { return read_ports(v, m.destination_ports); },
          "a port or a range, as 1024-65535"},
    field{"tcp_flags",
          [](std::string_view v, rule_match& m) {
            const auto slash = v.find('/');
            return slash != std::string_view::npos && read_flags_byte(v.substr(0, slash), m.tcp_flags_value) &&
                   read_flags_byte(v.substr(slash + 1), m.tcp_flags_mask);
          },
          "value/mask, as 0x02/0x12"},
    field{"icmp_type", [](std::string_view v, rule_match& m) { return read_number(v, m.icmp_type); },
          "a number up to 255"},
};

std::string known_keys() {
  std::string out;
  for (const auto& known : fields)
    out.append(out.empty() ? "" : ", ").append(known.key);
  return out;
}

std::string quoted(std::string_view text) {
  // What a user mistyped is told back, but not at any length.
  constexpr std::size_t most = 40;
  return "'" + std::string{text.substr(0, most)} + (text.size() > most ? "...'" : "'");
}

} // namespace

std::string to_string(const rule_match& match) {
  std::string out;
  const auto add = [&](std::string_view key, const std::string& value) {
    if (!out.empty())
      out += ',';
    out.append(key).append("=").append(value);
  };
  const auto add_ports = [&](std::string_view key, const l4_port_range& range) {
    if (range.low == range.high)
      add(key, std::to_string(range.low));
    else if (!range.is_wildcard())
      add(key, std::to_string(range.low) + "-" + std::to_string(range.high));
  };
  if (match.in_port)
    add("in_port", std::to_string(*match.in_port));
  if (match.vlan)
    add("vlan", std::to_string(*match.vlan));
  if (match.source)
    add("src", to_string(*match.source));
  if (match.destination)
    add("dst", to_string(*match.destination));
  if (match.protocol)
    add("proto", protocol_name(*match.protocol));
  if (match.dscp)
    add("dscp", std::to_string(*match.dscp));
  add_ports("sport", match.source_ports);
  add_ports("dport", match.destination_ports);
  if (match.tcp_flags_mask != 0) {
    char text[10];
    std::snprintf(text, sizeof text, "0x%02x/0x%02x", match.tcp_flags_value, match.tcp_flags_mask);
    add("tcp_flags", text);
  }
  if (match.icmp_type)
    add("icmp_type", std::to_string(*match.icmp_type));
  return out.empty() ? "any" : out;
}

expected<rule_match, rule_text_error> parse_rule_match(std::string_view text) {
  using code = rule_text_error::code;
  rule_match out;
  if (text == "any")
    return out;
  std::array<bool, fields.size()> seen{};
  for (std::size_t at = 0; at <= text.size();) {
    const auto end = std::min(text.find(',', at), text.size());
    const auto item = text.substr(at, end - at);
    const auto equals = item.find('=');
    if (equals == std::string_view::npos)
      return unexpected{rule_text_error{code::missing_equals, at, quoted(item) + " is no key=value"}};
    const auto key = item.substr(0, equals);
    std::size_t index = 0;
    while (index < fields.size() && fields[index].key != key)
      ++index;
    if (index == fields.size())
      return unexpected{rule_text_error{code::unknown_key, at, quoted(key) + " is none of the keys " + known_keys()}};
    if (seen[index])
      return unexpected{rule_text_error{code::repeated_key, at, quoted(key) + " stands here twice"}};
    seen[index] = true;
    const auto value = item.substr(equals + 1);
    if (!fields[index].read(value, out))
      return unexpected{rule_text_error{code::malformed_value, at,
                                        std::string{key} + " takes " + std::string{fields[index].expects} + ", not " +
                                            quoted(value)}};
    // Checked field by field, so that the error points at the first field that can't stand with those before it.
    if (const auto contradiction = find_contradiction(out))
      return unexpected{rule_text_error{
          code::contradiction, at, std::string{item.substr(0, 60)} + ": " + std::string{to_string(*contradiction)}}};
    at = end + 1;
  }
  return out;
}

} // namespace glocal::dataplane
