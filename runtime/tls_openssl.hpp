#pragma once
// OpenSSL's objects with an owner, and its errors as text. For the tls_*.cpp files only: no other file sees OpenSSL.

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>

namespace glocal::runtime::openssl {

template <auto Free>
struct freed_by {
  template <class T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};

using bio = std::unique_ptr<BIO, freed_by<BIO_free_all>>;
using certificate = std::unique_ptr<X509, freed_by<X509_free>>;
using key = std::unique_ptr<EVP_PKEY, freed_by<EVP_PKEY_free>>;
using store = std::unique_ptr<X509_STORE, freed_by<X509_STORE_free>>;
using store_context = std::unique_ptr<X509_STORE_CTX, freed_by<X509_STORE_CTX_free>>;
using context = std::unique_ptr<SSL_CTX, freed_by<SSL_CTX_free>>;
using session = std::unique_ptr<SSL, freed_by<SSL_free>>;

/// Reads from `text`, which outlives it.
[[nodiscard]] inline bio reading(std::string_view text) {
  return bio{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
}

/// The oldest error of this thread's queue, which is the cause; empties the queue.
[[nodiscard]] inline std::string error_text() {
  const auto code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "OpenSSL gives no reason" : reason;
}

/// `X509_get_subject_name` and the like as `CN = dc1.figure3`.
[[nodiscard]] inline std::string name_text(const X509_NAME* name) {
  const bio out{BIO_new(BIO_s_mem())};
  X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
  char* at = nullptr;
  const auto size = BIO_get_mem_data(out.get(), &at);
  // What a stranger's certificate says ends up in logs: one line of bounded length.
  constexpr long longest = 200;
  return size <= 0 ? std::string{} : std::string{at, static_cast<std::size_t>(std::min(size, longest))};
}

[[nodiscard]] inline std::chrono::system_clock::time_point time_of(const ASN1_TIME* time) {
  std::tm parts{};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? std::chrono::system_clock::from_time_t(::timegm(&parts))
                                            : std::chrono::system_clock::time_point{};
}

} // namespace glocal::runtime::openssl
