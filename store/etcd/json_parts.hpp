#pragma once
// What etcd's JSON gateway says, piece by piece: for the codecs alone. Pure; what is not as it should be gives nothing.

#include "base/base64.hpp"

#include <nlohmann/json.hpp>

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>

namespace glocal::store::etcd {

/// Null when it is not there.
inline const nlohmann::json* member(const nlohmann::json& in, const char* key) {
  if (!in.is_object())
    return nullptr;
  const auto at = in.find(key);
  return at == in.end() ? nullptr : &*at;
}

/// proto3's JSON writes 64-bit numbers as text and leaves zeros out.
template <class Int = std::uint64_t>
std::optional<Int> number(const nlohmann::json& in, const char* key) {
  const auto* found = member(in, key);
  if (found == nullptr)
    return 0;
  if (!found->is_string())
    return std::nullopt;
  const auto& text = found->get_ref<const std::string&>();
  Int out = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (text.empty() || failure != std::errc{} || end != text.data() + text.size())
    return std::nullopt;
  return out;
}

/// False when it is not there: proto3's JSON leaves that out.
inline std::optional<bool> flag(const nlohmann::json& in, const char* key) {
  const auto* found = member(in, key);
  if (found == nullptr)
    return false;
  if (!found->is_boolean())
    return std::nullopt;
  return found->get<bool>();
}

/// Nothing when it is not there.
inline std::optional<std::string> bytes_of(const nlohmann::json& in, const char* key) {
  const auto* found = member(in, key);
  if (found == nullptr || !found->is_string())
    return std::nullopt;
  return from_base64(found->get_ref<const std::string&>());
}

struct header {
  std::uint64_t cluster = 0, revision = 0;
};

inline std::optional<header> read_header(const nlohmann::json& in) {
  const auto* found = member(in, "header");
  if (found == nullptr)
    return std::nullopt;
  const auto cluster = number(*found, "cluster_id"), revision = number(*found, "revision");
  if (!cluster || !revision || *cluster == 0)
    return std::nullopt;
  return header{*cluster, *revision};
}

} // namespace glocal::store::etcd
