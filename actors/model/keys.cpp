#include "actors/model/keys.hpp"

#include "base/bytes.hpp"

#include <charconv>
#include <cstdio>

namespace glocal::model::keys {
namespace {

std::string hexadecimal(std::string_view octets) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const char octet : octets) {
    out += digits[static_cast<unsigned char>(octet) >> 4];
    out += digits[static_cast<unsigned char>(octet) & 15];
  }
  return out;
}

} // namespace

std::string flow(tenant_id tenant, const five_tuple& tuple) {
  const auto ends = tuple.canonical();
  std::string key(42, '\0');
  auto* at = reinterpret_cast<std::byte*>(key.data());
  store_be32(at, tenant);
  store_u8(at + 4, static_cast<std::uint8_t>(ends.source.family));
  store_u8(at + 5, ends.protocol);
  std::memcpy(at + 6, ends.source.octets.data(), 16);
  store_be16(at + 22, ends.source_port);
  std::memcpy(at + 24, ends.destination.octets.data(), 16);
  store_be16(at + 40, ends.destination_port);
  return key;
}

std::string path(path_id id) {
  char text[7];
  std::snprintf(text, sizeof text, "%06x", id & 0xffffff);
  return text;
}

std::optional<path_id> parse_path(std::string_view key) {
  path_id id = 0;
  const auto* end = key.data() + key.size();
  const auto [stop, failure] = std::from_chars(key.data(), end, id, 16);
  if (key.size() != 6 || failure != std::errc{} || stop != end)
    return std::nullopt;
  return id;
}

std::string merged_mapping(tenant_id tenant, const ip_prefix& eid, std::string_view registrant) {
  return mapping(tenant, eid) + "/" + hexadecimal(registrant);
}

std::string subscription(tenant_id tenant, const ip_prefix& eid, std::string_view xtr) {
  return mapping(tenant, eid) + "/" + hexadecimal(xtr);
}

} // namespace glocal::model::keys
