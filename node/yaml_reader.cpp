#include "node/yaml_reader.hpp"

#include <algorithm>
#include <charconv>

namespace glocal::node {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

constexpr std::size_t max_name = 31;

bool is_name(std::string_view text) {
  const auto plain = [](char c) { return ('a' <= c && c <= 'z') || ('0' <= c && c <= '9'); };
  return !text.empty() && text.size() <= max_name && plain(text.front()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return plain(c) || c == '-'; });
}

/// The name that was probably meant.
std::string as_name(std::string_view text) {
  std::string out;
  for (char c : text.substr(0, max_name)) {
    if ('A' <= c && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
    if (('a' <= c && c <= 'z') || ('0' <= c && c <= '9') || (c == '-' && !out.empty()))
      out += c;
    else if (!out.empty() && out.back() != '-')
      out += '-';
  }
  while (!out.empty() && out.back() == '-')
    out.pop_back();
  return out;
}

std::string shown(milliseconds duration) {
  return duration % 1h == 0ms   ? std::to_string(duration / 1h) + "h"
         : duration % 1s == 0ms ? std::to_string(duration / 1s) + "s"
                                : std::to_string(duration.count()) + "ms";
}

std::string_view kind_name(yaml_value::kind what) {
  switch (what) {
  case yaml_value::kind::null: return "nothing";
  case yaml_value::kind::scalar: return "a single value";
  case yaml_value::kind::sequence: return "a list";
  case yaml_value::kind::map: return "keys and values";
  }
  return "?";
}

} // namespace

bool yaml_reader::expect(const value& v, kind wanted, std::string_view what, std::string suggestion) {
  if (v.what == wanted)
    return true;
  return report_.error(
      v, std::string{what} + " is " + std::string{kind_name(wanted)} + ", here is " + std::string{kind_name(v.what)},
      v.what == kind::null ? "give it a value or remove the key" : std::move(suggestion));
}

bool yaml_reader::keys(const value& map, std::string_view what, const key_list& known, const key_list& required) {
  if (!expect(map, kind::map, what, "write it as 'key: value' lines"))
    return false;
  std::vector<const value*> seen(known.size());
  for (std::size_t i = 0; i + 1 < map.children.size() && !report_.full(); i += 2) {
    const auto& key = tree_.at(map.children[i]);
    if (key.what != kind::scalar) {
      report_.error(key, "a key is a single word, here is " + std::string{kind_name(key.what)}, "write 'key: value'");
      continue;
    }
    const auto found = std::find(known.begin(), known.end(), key.text);
    if (found == known.end()) {
      report_.error(key, "unknown key " + quoted(key.text) + " in " + std::string{what},
                    suggest(key.text, known, "keys"));
      continue;
    }
    auto*& first = seen[static_cast<std::size_t>(found - known.begin())];
    if (first != nullptr)
      report_.error(key, "key " + quoted(key.text) + " a second time, first in line " + std::to_string(first->line),
                    "keep one of them");
    else
      first = &key;
  }
  for (const auto key : required)
    if (seen[static_cast<std::size_t>(std::find(known.begin(), known.end(), key) - known.begin())] == nullptr)
      report_.error(map, std::string{what} + " lacks the key " + quoted(key), "add '" + std::string{key} + ": ...'");
  return true;
}

void yaml_reader::name(const value& v, std::string& out) {
  if (!scalar(v, "a name", "write one word"))
    return;
  if (!is_name(v.text)) {
    const auto better = as_name(v.text);
    report_.error(v,
                  quoted(v.text) + " is no name: lower-case letters, digits and '-', at most 31, not starting with '-'",
                  better.empty() ? std::string{"write for example 'node-1'"} : "write " + quoted(better));
    return;
  }
  out = v.text;
}

void yaml_reader::text(const value& v, std::string_view what, std::string& out) {
  if (!scalar(v, what, "write one piece of text"))
    return;
  if (v.text.empty() || v.text.find('\0') != std::string::npos)
    report_.error(v, std::string{what} + " is empty or holds a zero byte", "write it out");
  else
    out = v.text;
}

void yaml_reader::device(const value& v, std::string& out) {
  if (!scalar(v, "an interface", "write the device's name, as 'ip link' shows it"))
    return;
  const bool sound =
      !v.text.empty() && v.text.size() <= 15 && v.text != "." && v.text != ".." &&
      std::all_of(v.text.begin(), v.text.end(), [](char c) { return c > ' ' && c != '/' && c != ':' && c != 0x7f; });
  if (sound) {
    out = v.text;
    return;
  }
  out = "?"; // there is one, though unreadable
  report_.error(v, quoted(v.text) + " is no device name: 1 to 15 printable characters without '/' and ':'",
                "write it as 'ip link' shows it");
}

std::optional<std::uint64_t> yaml_reader::number_between(const value& v, std::string_view what, std::uint64_t low,
                                                         std::uint64_t high) {
  const auto range = std::to_string(low) + " to " + std::to_string(high);
  if (!scalar(v, what, "write a number from " + range))
    return std::nullopt;
  std::uint64_t parsed = 0;
  const auto* end = v.text.data() + v.text.size();
  const auto [stop, failure] = std::from_chars(v.text.data(), end, parsed);
  const bool digits =
      !v.text.empty() && std::all_of(v.text.begin(), v.text.end(), [](char c) { return '0' <= c && c <= '9'; });
  if (v.quoted && digits) {
    report_.error(v, std::string{what} + " is a number, here is text", "remove the quotes");
  } else if (!digits) {
    const bool negative = v.text.size() > 1 && v.text[0] == '-' && '0' <= v.text[1] && v.text[1] <= '9';
    report_.error(v, std::string{what} + " is a whole number from " + range + ", not " + quoted(v.text),
                  negative ? "write " + std::to_string(low) + " or more" : "write digits only, without a unit");
  } else if (failure != std::errc{} || stop != end || parsed > high) {
    report_.error(v, std::string{what} + " is " + range + ", not " + v.text.substr(0, 24),
                  "at most " + std::to_string(high) + " is possible");
  } else if (parsed < low) {
    report_.error(v, std::string{what} + " is " + range + ", not " + v.text,
                  "at least " + std::to_string(low) + " is needed");
  } else {
    return parsed;
  }
  return std::nullopt;
}

void yaml_reader::duration(const value& v, std::string_view what, milliseconds low, milliseconds high,
                           milliseconds& out) {
  const auto range = shown(low) + " to " + shown(high);
  if (!scalar(v, what, "write a duration, " + range))
    return;
  std::uint64_t amount = 0;
  const auto* end = v.text.data() + v.text.size();
  const auto [stop, failure] = std::from_chars(v.text.data(), end, amount);
  const std::string_view unit{stop, static_cast<std::size_t>(end - stop)};
  const std::uint64_t factor = unit == "ms"  ? 1
                               : unit == "s" ? 1000
                               : unit == "m" ? 60'000
                               : unit == "h" ? 3'600'000
                                             : 0;
  constexpr std::uint64_t too_long = 1ull << 40; // 34 years: keeps the product below from wrapping
  if (failure != std::errc{} || factor == 0) {
    const bool bare = failure == std::errc{} && unit.empty();
    report_.error(v, std::string{what} + " is a duration with its unit (ms, s, m, h), not " + quoted(v.text),
                  bare ? "write " + quoted(v.text + "s") + " for seconds" : "write for example " + quoted(shown(low)));
  } else if (amount > too_long || milliseconds{amount * factor} > high) {
    report_.error(v, std::string{what} + " is " + range + ", not " + quoted(v.text),
                  "at most " + shown(high) + " is possible");
  } else if (milliseconds{amount * factor} < low) {
    report_.error(v, std::string{what} + " is " + range + ", not " + quoted(v.text),
                  "at least " + shown(low) + " is needed");
  } else {
    out = milliseconds{amount * factor};
  }
}

void yaml_reader::boolean(const value& v, std::string_view what, bool& out) {
  if (!scalar(v, what, "write true or false"))
    return;
  if (v.quoted || (v.text != "true" && v.text != "false"))
    report_.error(v, std::string{what} + " is true or false, not " + quoted(v.text),
                  "write true or false, without quotes");
  else
    out = v.text == "true";
}

void yaml_reader::address(const value& v, ip_address& out) {
  if (!scalar(v, "an address", "write for example 10.0.0.1"))
    return;
  const auto parsed = parse_ip(v.text);
  if (!parsed) {
    const bool sized = v.text.find('/') != std::string::npos;
    report_.error(v, quoted(v.text) + " is no IPv4 or IPv6 address",
                  sized ? "leave out the length: " + quoted(v.text.substr(0, v.text.find('/')))
                        : "write for example 10.0.0.1 or fd00::1");
  } else if (parsed->is_unspecified() || parsed->is_multicast()) {
    report_.error(v, quoted(v.text) + " is no host's address", "choose a unicast address");
  } else {
    out = *parsed;
  }
}

void yaml_reader::prefix(const value& v, ip_prefix& out) {
  out.length = unreadable_length;
  if (!scalar(v, "a prefix", "write for example 10.1.0.0/24"))
    return;
  const auto parsed = parse_prefix(v.text);
  if (parsed) {
    out = *parsed;
    return;
  }
  std::string help = "write for example 10.1.0.0/24 or fd00:1::/64";
  if (const auto host = parse_interface_address(v.text); host && parsed.error() == address_error::host_bits_set)
    help = "the prefix of that address is " + quoted(to_string(host->subnet()));
  report_.error(v,
                quoted(v.text) + (parsed.error() == address_error::host_bits_set ? " has bits set behind its length"
                                                                                 : " is no address prefix"),
                help);
}

void yaml_reader::sized_address(const value& v, interface_address& out) {
  if (!scalar(v, "an address with its length", "write for example 10.1.0.1/24"))
    return;
  const auto parsed = parse_interface_address(v.text);
  if (!parsed) {
    report_.error(v, quoted(v.text) + " is no address with the length of its subnet",
                  parse_ip(v.text) ? "add the length, for example " + quoted(v.text + "/24")
                                   : "write for example 10.1.0.1/24");
    return;
  }
  const auto host_bits = parsed->address.bits() - parsed->length;
  const bool network = host_bits > 1 && parsed->subnet().address == parsed->address;
  if (parsed->address.is_unspecified() || parsed->address.is_multicast() || network || parsed->length == 0)
    report_.error(v, quoted(v.text) + (network ? " is the subnet itself, not a host in it" : " is no host's address"),
                  "choose a host address of that subnet");
  else
    out = *parsed;
}

void yaml_reader::read_endpoint(const value& v, bool any_address, std::string_view example, endpoint& out) {
  const auto help = "write for example " + std::string{example};
  const auto its_port = std::string{example.substr(example.rfind(':'))};
  if (!scalar(v, "an endpoint", help))
    return;
  const auto colon = v.text.rfind(':');
  auto host = std::string_view{v.text}.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string_view::npos)
    host = {};
  std::uint16_t port = 0;
  const auto* end = v.text.data() + v.text.size();
  const bool has_port = colon != std::string::npos && colon + 1 < v.text.size();
  const auto parsed = parse_ip(host);
  if (!has_port) {
    report_.error(v, quoted(v.text) + " is no address with a port",
                  parse_ip(v.text)
                      ? "add the port: " + quoted((parse_ip(v.text)->is_v4() ? v.text : "[" + v.text + "]") + its_port)
                      : help);
    return;
  }
  const auto [stop, failure] = std::from_chars(v.text.data() + colon + 1, end, port);
  if (!parsed || (parsed->is_unspecified() && !any_address) || parsed->is_multicast())
    report_.error(v, quoted(v.text) + " is no host's address with a port", help);
  else if (failure != std::errc{} || stop != end || port == 0)
    report_.error(v, "the port of " + quoted(v.text) + " is not 1 to 65535", help);
  else
    out = {*parsed, port};
}

void yaml_reader::port_range(const value& v, dataplane::l4_port_range& out) {
  constexpr std::string_view help = "write a port as 80 or a range as 8000-8080";
  if (!scalar(v, "a port", std::string{help}))
    return;
  const auto* end = v.text.data() + v.text.size();
  std::uint16_t low = 0, high = 0;
  auto [stop, failure] = std::from_chars(v.text.data(), end, low);
  high = low;
  if (failure == std::errc{} && stop != end && *stop == '-') {
    const auto tail = std::from_chars(stop + 1, end, high);
    stop = tail.ptr;
    failure = tail.ec;
  }
  if (failure != std::errc{} || stop != end)
    report_.error(v, quoted(v.text) + " is no port or range of ports (0 to 65535)", std::string{help});
  else if (low > high)
    report_.error(v, "the range " + quoted(v.text) + " ends before it starts",
                  "write " + quoted(std::to_string(high) + "-" + std::to_string(low)));
  else
    out = {low, high};
}

} // namespace glocal::node
