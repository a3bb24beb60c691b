#include "tools/trace_text.hpp"

#include <array>
#include <charconv>
#include <utility>
#include <vector>

namespace glocal::cli {
namespace {

/// RFC 6335 section 6: the first dynamic port.
constexpr std::uint16_t host_port = 49152;

struct word {
  std::string_view text;
  /// From 1.
  std::size_t column = 1;
};

std::vector<word> words_of(std::string_view text) {
  std::vector<word> out;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == ' ' || text[at] == '\t') {
      ++at;
      continue;
    }
    const auto end = std::min(text.find_first_of(" \t", at), text.size());
    out.push_back({text.substr(at, end - at), at + 1});
    at = end;
  }
  return out;
}

bool has_ports(std::uint8_t protocol) {
  return protocol == ip_protocol::tcp || protocol == ip_protocol::udp || protocol == ip_protocol::sctp;
}
bool is_icmp(std::uint8_t protocol) {
  return protocol == ip_protocol::icmp || protocol == ip_protocol::icmp6;
}

/// Throws text_error within this file; the two functions outside return it.
[[noreturn]] void fail(std::size_t column, std::string message) {
  throw text_error{column, std::move(message)};
}

std::uint32_t number(std::string_view text, std::size_t column, const char* what, std::uint32_t most) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > most)
    fail(column, "'" + std::string{text} + "' is no " + what + ": write a number, 0 to " + std::to_string(most));
  return value;
}

/// Where `part`, a piece of `whole`, begins.
std::size_t column_of(std::string_view part, const word& whole) {
  return whole.column + static_cast<std::size_t>(part.data() - whole.text.data());
}

/// An address part and, behind a colon, a port part: "10.0.0.1:80", "[::1]:80", "::1".
std::pair<std::string_view, std::optional<std::string_view>> split_end(const word& from) {
  const auto text = from.text;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos)
      fail(from.column, "'[' without ']': write [2001:db8::1]:80");
    const auto behind = text.substr(close + 1);
    if (!behind.empty() && behind[0] != ':')
      fail(column_of(behind, from), "after ']' comes ':' and a port");
    return {text.substr(1, close - 1),
            behind.empty() ? std::nullopt : std::optional<std::string_view>{behind.substr(1)}};
  }
  const auto colon = text.find(':');
  // Two colons without brackets: an IPv6 address without a port.
  if (colon == std::string_view::npos || text.find(':', colon + 1) != std::string_view::npos)
    return {text, std::nullopt};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

struct end_point {
  ip_address address;
  std::optional<std::uint16_t> port;
};

end_point parse_end(const word& from) {
  const auto [address, port] = split_end(from);
  const auto parsed = parse_ip(address);
  if (!parsed)
    fail(column_of(address, from), "'" + std::string{address} +
                                       "' is no address: write 10.1.0.7:51514 or "
                                       "[2001:db8::7]:51514");
  end_point out{*parsed, std::nullopt};
  if (port)
    out.port = static_cast<std::uint16_t>(number(*port, column_of(*port, from), "port", 0xffff));
  return out;
}

struct range {
  std::optional<ip_prefix> prefix;
  dataplane::l4_port_range ports;
};

range parse_range(const word& from) {
  const auto [address, ports] = split_end(from);
  range out;
  if (address != "any" && address != "*") {
    const auto parsed = parse_prefix(address);
    if (!parsed)
      fail(column_of(address, from),
           "'" + std::string{address} + "' is " +
               (parsed.error() == address_error::host_bits_set ? "no prefix: bits beyond its length are set"
                                                               : "neither 'any' nor an address nor a prefix"));
    out.prefix = *parsed;
  }
  if (ports) {
    const auto dash = ports->find('-');
    const auto low = ports->substr(0, dash);
    out.ports.low = static_cast<std::uint16_t>(number(low, column_of(low, from), "port", 0xffff));
    out.ports.high = out.ports.low;
    if (dash != std::string_view::npos) {
      const auto high = ports->substr(dash + 1);
      out.ports.high = static_cast<std::uint16_t>(number(high, column_of(high, from), "port", 0xffff));
      if (out.ports.high < out.ports.low)
        fail(column_of(*ports, from), "the range of ports is empty");
    }
  }
  return out;
}

struct flags {
  std::uint8_t set = 0, clear = 0;
};

flags parse_flags(std::string_view text, const word& from, bool may_negate) {
  constexpr std::array<std::pair<std::string_view, std::uint8_t>, 6> names{
      {{"fin", 0x01}, {"syn", 0x02}, {"rst", 0x04}, {"psh", 0x08}, {"ack", 0x10}, {"urg", 0x20}}};
  flags out;
  for (std::size_t at = 0; at <= text.size();) {
    const auto end = std::min(text.find(',', at), text.size());
    auto one = text.substr(at, end - at);
    const auto column = column_of(one, from);
    const bool negated = may_negate && one.starts_with('-');
    if (negated)
      one.remove_prefix(1);
    std::uint8_t bit = 0;
    for (const auto& [name, value] : names)
      if (name == one)
        bit = value;
    if (bit == 0)
      fail(column, "'" + std::string{one} + "' is no TCP flag: syn, ack, fin, rst, psh, urg");
    (negated ? out.clear : out.set) |= bit;
    at = end + 1;
  }
  if ((out.set & out.clear) != 0)
    fail(from.column, "a flag is wanted set and not set");
  return out;
}

struct option {
  std::string_view key, value;
  std::size_t value_column;
};

std::optional<option> parse_option(const word& from) {
  const auto equals = from.text.find('=');
  if (equals == std::string_view::npos)
    return std::nullopt;
  const auto value = from.text.substr(equals + 1);
  return option{from.text.substr(0, equals), value, column_of(value, from)};
}

std::uint8_t parse_protocol_word(const word& from) {
  const auto parsed = parse_protocol(from.text);
  if (!parsed)
    fail(from.column, "'" + std::string{from.text} + "' is no protocol: tcp, udp, icmp, icmp6, sctp or a number");
  return *parsed;
}

packet_text packet_of(std::string_view text) {
  const auto words = words_of(text);
  const auto past = text.size() + 1;
  if (words.empty())
    fail(1, "a packet is missing: write 'tcp 10.1.0.7:51514 > 203.0.113.9:80'");
  packet_text out;
  auto& tuple = out.tuple;
  tuple.protocol = parse_protocol_word(words[0]);
  if (words.size() < 2)
    fail(past, "a source is missing");
  const auto source = parse_end(words[1]);
  if (words.size() < 3 || words[2].text != ">")
    fail(words.size() < 3 ? past : words[2].column, "'>' is missing between source and destination");
  if (words.size() < 4)
    fail(past, "a destination is missing");
  const auto destination = parse_end(words[3]);
  if (source.address.family != destination.address.family)
    fail(words[3].column, "source and destination are of different IP versions");
  if (tuple.protocol == ip_protocol::icmp && !source.address.is_v4())
    fail(words[0].column, "ICMP of IPv6 is 'icmp6'");
  if (tuple.protocol == ip_protocol::icmp6 && source.address.is_v4())
    fail(words[0].column, "ICMP of IPv4 is 'icmp'");
  tuple.source = source.address;
  tuple.destination = destination.address;
  if (has_ports(tuple.protocol)) {
    if (!destination.port)
      fail(words[3].column + words[3].text.size(),
           protocol_name(tuple.protocol) + " needs a destination port: write ':80' behind the address");
    tuple.source_port = source.port.value_or(host_port);
    tuple.destination_port = *destination.port;
  } else if (is_icmp(tuple.protocol)) {
    tuple.source_port = tuple.destination_port = source.port.value_or(1);
  } else if (source.port || destination.port) {
    fail(words[source.port ? 1 : 3].column, "protocol " + std::string{words[0].text} + " has no ports");
  }
  for (std::size_t i = 4; i < words.size(); ++i) {
    const auto given = parse_option(words[i]);
    if (given && given->key == "vlan")
      out.vlan = static_cast<std::uint16_t>(number(given->value, given->value_column, "VLAN", 4094));
    else if (given && given->key == "dscp")
      out.dscp = static_cast<std::uint8_t>(number(given->value, given->value_column, "DSCP", 63));
    else if (given && given->key == "ttl")
      out.ttl = static_cast<std::uint8_t>(number(given->value, given->value_column, "TTL", 255));
    else if (given && given->key == "flags" && tuple.protocol == ip_protocol::tcp)
      out.tcp_flags = parse_flags(given->value, words[i], false).set;
    else if (given && given->key == "flags")
      fail(words[i].column, "flags are of tcp");
    else
      fail(words[i].column,
           "'" + std::string{words[i].text} + "' is no option of a packet: vlan=N, dscp=N, ttl=N, flags=syn,ack");
  }
  return out;
}

filter_text filter_of(std::string_view text) {
  const auto words = words_of(text);
  const auto past = text.size() + 1;
  filter_text out;
  std::size_t next = 0;
  const auto is_arrow = [&](std::size_t at) {
    return at < words.size() && (words[at].text == ">" || words[at].text == "<>");
  };
  if (next < words.size() && !parse_option(words[next]) && !is_arrow(next + 1)) {
    if (words[next].text != "any")
      out.match.protocol = parse_protocol_word(words[next]);
    ++next;
  }
  if (next < words.size() && !parse_option(words[next])) {
    const auto source = parse_range(words[next]);
    if (!is_arrow(next + 1))
      fail(next + 1 < words.size() ? words[next + 1].column : past, "'>' or '<>' is missing behind the source");
    out.both_directions = words[next + 1].text == "<>";
    if (next + 2 >= words.size())
      fail(past, "a destination is missing");
    const auto destination = parse_range(words[next + 2]);
    out.match.source = source.prefix;
    out.match.destination = destination.prefix;
    out.match.source_ports = source.ports;
    out.match.destination_ports = destination.ports;
    if (source.prefix && destination.prefix && source.prefix->address.family != destination.prefix->address.family)
      fail(words[next + 2].column, "source and destination are of different IP versions");
    next += 3;
  }
  for (; next < words.size(); ++next) {
    const auto given = parse_option(words[next]);
    if (given && given->key == "vlan")
      out.match.vlan = static_cast<std::uint16_t>(number(given->value, given->value_column, "VLAN", 4094));
    else if (given && given->key == "dscp")
      out.match.dscp = static_cast<std::uint8_t>(number(given->value, given->value_column, "DSCP", 63));
    else if (given && given->key == "icmp_type")
      out.match.icmp_type = static_cast<std::uint8_t>(number(given->value, given->value_column, "ICMP type", 255));
    else if (given && given->key == "tenant")
      out.tenant = number(given->value, given->value_column, "tenant", 0xff'ffff);
    else if (given && given->key == "port" && !given->value.empty())
      out.port = given->value;
    else if (given && given->key == "flags") {
      const auto wanted = parse_flags(given->value, words[next], true);
      out.match.tcp_flags_value = wanted.set;
      out.match.tcp_flags_mask = wanted.set | wanted.clear;
    } else
      fail(words[next].column, "'" + std::string{words[next].text} +
                                   "' is no option of a filter: vlan=N, dscp=N, icmp_type=N, flags=syn,-ack, tenant=N, "
                                   "port=NAME");
  }
  return out;
}

} // namespace

std::string shown(const text_error& error, std::string_view text) {
  return std::string{text} + "\n" + std::string(error.column - 1, ' ') + "^\ncolumn " + std::to_string(error.column) +
         ": " + error.message;
}

expected<packet_text, text_error> parse_packet(std::string_view text) {
  try {
    return packet_of(text);
  } catch (text_error& wrong) {
    return unexpected{std::move(wrong)};
  }
}

expected<filter_text, text_error> parse_filter(std::string_view text) {
  try {
    return filter_of(text);
  } catch (text_error& wrong) {
    return unexpected{std::move(wrong)};
  }
}

} // namespace glocal::cli
