#include "dataplane/lisp/authentication.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <algorithm>
#include <array>
#include <memory>

namespace glocal::lisp {
namespace {

constexpr std::size_t nonce_offset = 4, key_id_offset = 12, length_offset = 14, data_offset = 16;
constexpr std::size_t sha1_bytes = 20, sha1_96_bytes = 12, sha256_bytes = 32, sha256_128_bytes = 16;

/// RFC 9301 section 5.6, `s`: the message's name and a word. Nothing for messages the RFC has no salt for.
std::string_view salt_of(std::uint8_t type) {
  switch (static_cast<message_type>(type)) {
  case message_type::map_register: return "Map-Register Authentication";
  case message_type::map_notify: return "Map-Notify Authentication";
  case message_type::map_notify_ack: return "Map-Notify-Ack Authentication";
  default: return {};
  }
}

using mac_value = std::array<std::uint8_t, sha256_bytes>;
struct mac_result {
  mac_value value{};
  bool ok = false;
};

const unsigned char* raw(byte_view data) {
  return reinterpret_cast<const unsigned char*>(data.data());
}

mac_result hmac(const EVP_MD* hash, byte_view key, byte_view data) {
  mac_result out;
  unsigned length = 0;
  out.ok = ::HMAC(hash, raw(key), static_cast<int>(key.size()), raw(data), data.size(), out.value.data(), &length) !=
           nullptr;
  return out;
}

/// RFC 5869 with `salt`, no info, and as many bytes as the hash has: section 5.6 gives no other length.
mac_result hkdf_sha256(byte_view input, std::string_view salt) {
  mac_result out;
  const std::unique_ptr<EVP_KDF, decltype(&EVP_KDF_free)> kdf{EVP_KDF_fetch(nullptr, "HKDF", nullptr), EVP_KDF_free};
  const std::unique_ptr<EVP_KDF_CTX, decltype(&EVP_KDF_CTX_free)> context{kdf ? EVP_KDF_CTX_new(kdf.get()) : nullptr,
                                                                          EVP_KDF_CTX_free};
  if (!context)
    return out;
  char hash[] = "SHA256";
  // The interface takes pointers to mutable and does not write.
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, hash, 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, const_cast<std::byte*>(input.data()), input.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, const_cast<char*>(salt.data()), salt.size()),
      OSSL_PARAM_construct_end()};
  out.ok = EVP_KDF_derive(context.get(), out.value.data(), out.value.size(), parameters) == 1;
  return out;
}

/// REQUIRES: `message` has a whole fixed part and its authentication data is zero.
mac_result mac_of(byte_view message, std::uint8_t algorithm_id, std::string_view secret) {
  const auto key = std::as_bytes(std::span{secret});
  switch (algorithm_id) {
  case algorithm::hmac_sha1_96: return hmac(EVP_sha1(), key, message);
  case algorithm::hmac_sha256_128: return hmac(EVP_sha256(), key, message);
  case algorithm::hmac_sha256_128_hkdf: {
    const auto salt = salt_of(load_u8(message.data()) >> 4);
    bytes input{message.begin() + nonce_offset, message.begin() + nonce_offset + 8};
    input.insert(input.end(), key.begin(), key.end());
    const auto derived = hkdf_sha256(input, salt);
    if (salt.empty() || !derived.ok)
      return {};
    return hmac(EVP_sha256(), std::as_bytes(std::span{derived.value}), message);
  }
  default: return {};
  }
}

/// 0 for algorithms not known.
std::size_t data_bytes(const auth_method& method) {
  switch (method.algorithm_id) {
  case algorithm::hmac_sha1_96: return method.full_sha1 ? sha1_bytes : sha1_96_bytes;
  case algorithm::hmac_sha256_128:
  case algorithm::hmac_sha256_128_hkdf: return sha256_128_bytes;
  default: return 0;
  }
}

/// Also what is not cut: older implementations send it.
bool is_length_of(std::size_t length, std::uint8_t algorithm_id) {
  if (algorithm_id == algorithm::hmac_sha1_96)
    return length == sha1_96_bytes || length == sha1_bytes;
  return length == sha256_128_bytes || length == sha256_bytes;
}

authentication* auth_of(control_message& message) {
  return std::visit(
      [](auto& one) -> authentication* {
        if constexpr (requires { one.auth; })
          return &one.auth;
        else
          return nullptr;
      },
      message);
}

bool has_authentication(std::uint8_t type) {
  switch (static_cast<message_type>(type)) {
  case message_type::map_register:
  case message_type::map_notify:
  case message_type::map_notify_ack:
  case message_type::info: return true;
  default: return false;
  }
}

} // namespace

std::string_view to_string(auth_verdict verdict) noexcept {
  switch (verdict) {
  case auth_verdict::good: return "good";
  case auth_verdict::bad: return "bad";
  case auth_verdict::absent: return "absent";
  case auth_verdict::unknown_algorithm: return "unknown algorithm";
  case auth_verdict::bad_length: return "bad length";
  case auth_verdict::not_applicable: return "not applicable";
  }
  return "";
}

auth_method method_for(const peer_profile& receiver) noexcept {
  if (receiver.sha256)
    return {};
  return {algorithm::hmac_sha1_96, 0, true};
}

auth_verdict verify(byte_view message, std::string_view secret) {
  if (message.size() < data_offset || !has_authentication(load_u8(message.data()) >> 4))
    return auth_verdict::not_applicable;
  const auto algorithm_id = load_u8(message.data() + key_id_offset + 1);
  const std::size_t length = load_be16(message.data() + length_offset);
  if (length > message.size() - data_offset)
    return auth_verdict::not_applicable;
  if (algorithm_id == algorithm::none)
    return auth_verdict::absent;
  if (algorithm_id > algorithm::hmac_sha256_128_hkdf)
    return auth_verdict::unknown_algorithm;
  if (!is_length_of(length, algorithm_id))
    return auth_verdict::bad_length;
  bytes zeroed{message.begin(), message.end()};
  std::fill_n(zeroed.begin() + data_offset, length, std::byte{0});
  const auto right = mac_of(zeroed, algorithm_id, secret);
  if (!right.ok)
    return auth_verdict::unknown_algorithm;
  return CRYPTO_memcmp(right.value.data(), message.data() + data_offset, length) == 0 ? auth_verdict::good
                                                                                      : auth_verdict::bad;
}

expected<bytes, encode_error> encode_signed(control_message message, std::string_view secret, const auth_method& method,
                                            const peer_profile& receiver) {
  auto* auth = auth_of(message);
  const auto length = data_bytes(method);
  if (auth == nullptr || length == 0)
    return unexpected{encode_error{encode_error::kind::impossible, auth == nullptr
                                                                       ? "a message without authentication data"
                                                                       : "an authentication algorithm not known"}};
  *auth = {method.key_id, method.algorithm_id, bytes(length)};
  auto out = encode(message, receiver);
  if (!out)
    return out;
  const auto mac = mac_of(*out, method.algorithm_id, secret);
  if (!mac.ok)
    return unexpected{encode_error{encode_error::kind::impossible, "no MAC of this algorithm for this message"}};
  std::memcpy(out->data() + data_offset, mac.value.data(), length);
  return out;
}

} // namespace glocal::lisp
