#include "runtime/tls_authority.hpp"

#include "runtime/tls_openssl.hpp"

#include <openssl/rand.h>

#include <array>
#include <cstdio>
#include <utility>

namespace glocal::runtime {

using namespace std::chrono_literals;

namespace {

constexpr auto clock_skew = 5min;
/// Positive in 16 octets (RFC 5280, 4.1.2.2: at most 20).
constexpr int serial_bits = 127;

using serial_number = std::unique_ptr<BIGNUM, openssl::freed_by<BN_free>>;
using extension = std::unique_ptr<X509_EXTENSION, openssl::freed_by<X509_EXTENSION_free>>;

std::string pem_of(X509* certificate) {
  const openssl::bio out{BIO_new(BIO_s_mem())};
  char* at = nullptr;
  if (PEM_write_bio_X509(out.get(), certificate) != 1)
    return {};
  const auto size = BIO_get_mem_data(out.get(), &at);
  return {at, static_cast<std::size_t>(size)};
}

std::string pem_of(EVP_PKEY* key) {
  const openssl::bio out{BIO_new(BIO_s_secmem())};
  char* at = nullptr;
  if (PEM_write_bio_PKCS8PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return {};
  const auto size = BIO_get_mem_data(out.get(), &at);
  return {at, static_cast<std::size_t>(size)};
}

bool set_serial(X509* certificate) {
  const serial_number number{BN_new()};
  return number && BN_rand(number.get(), serial_bits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_validity(X509* certificate, const tls_validity& validity) {
  using std::chrono::system_clock;
  return ASN1_TIME_set(X509_getm_notBefore(certificate), system_clock::to_time_t(validity.not_before)) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), system_clock::to_time_t(validity.not_after)) != nullptr;
}

bool set_name(X509_NAME* to, const std::string& common_name) {
  return X509_NAME_add_entry_by_txt(to, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(common_name.data()),
                                    static_cast<int>(common_name.size()), -1, 0) == 1;
}

/// In the notation of x509v3_config(5).
bool extend(X509* certificate, X509* issuer, int what, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const extension made{X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str())};
  return made && X509_add_ext(certificate, made.get(), -1) == 1;
}

/// All but the extensions and the signature.
openssl::certificate begin(EVP_PKEY* key, const std::string& common_name, const X509_NAME* issuer,
                           const tls_validity& validity) {
  openssl::certificate made{X509_new()};
  if (made && X509_set_version(made.get(), X509_VERSION_3) == 1 && set_serial(made.get()) &&
      set_validity(made.get(), validity) && set_name(X509_get_subject_name(made.get()), common_name) &&
      X509_set_issuer_name(made.get(), issuer == nullptr ? X509_get_subject_name(made.get()) : issuer) == 1 &&
      X509_set_pubkey(made.get(), key) == 1)
    return made;
  return nullptr;
}

} // namespace

std::string certified_name(std::string_view node, std::string_view cluster) {
  return std::string{node} + '.' + std::string{cluster};
}

tls_validity tls_validity::for_next(std::chrono::hours duration) {
  const auto now = std::chrono::system_clock::now();
  return {now - clock_skew, now + duration};
}

struct tls_authority::parts {
  openssl::certificate certificate;
  openssl::key key;
};

tls_authority::tls_authority(tls_credentials credentials, std::unique_ptr<parts> opened)
    : credentials_{std::move(credentials)}, parts_{std::move(opened)} {}
tls_authority::tls_authority(tls_authority&&) noexcept = default;
tls_authority& tls_authority::operator=(tls_authority&&) noexcept = default;
tls_authority::~tls_authority() {
  OPENSSL_cleanse(credentials_.key.data(), credentials_.key.size());
}

expected<tls_authority, std::string> tls_authority::make(std::string_view cluster, tls_validity validity) {
  ERR_clear_error();
  auto opened = std::make_unique<parts>();
  opened->key.reset(EVP_EC_gen("P-256"));
  if (!opened->key)
    return unexpected{openssl::error_text()};
  // Two authorities of one cluster are told apart by a number, in messages too.
  std::array<unsigned char, 4> number{};
  if (RAND_bytes(number.data(), static_cast<int>(number.size())) != 1)
    return unexpected{openssl::error_text()};
  char tail[16];
  std::snprintf(tail, sizeof tail, " %02x%02x%02x%02x", number[0], number[1], number[2], number[3]);
  opened->certificate =
      begin(opened->key.get(), "glocal authority of " + std::string{cluster} + tail, nullptr, validity);
  auto* made = opened->certificate.get();
  // It certifies nodes and no further authority.
  if (made == nullptr || !extend(made, made, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !extend(made, made, NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !extend(made, made, NID_subject_key_identifier, "hash") || X509_sign(made, opened->key.get(), EVP_sha256()) == 0)
    return unexpected{openssl::error_text()};
  tls_credentials credentials{pem_of(made), pem_of(opened->key.get())};
  return tls_authority{std::move(credentials), std::move(opened)};
}

expected<tls_authority, std::string> tls_authority::from(tls_credentials credentials) {
  ERR_clear_error();
  auto opened = std::make_unique<parts>();
  const auto certificate = openssl::reading(credentials.certificate), key = openssl::reading(credentials.key);
  opened->certificate.reset(PEM_read_bio_X509(certificate.get(), nullptr, nullptr, nullptr));
  if (!opened->certificate)
    return unexpected{"the authority's certificate can't be read: " + openssl::error_text()};
  // No terminal is asked for a passphrase.
  opened->key.reset(PEM_read_bio_PrivateKey(
      key.get(), nullptr, [](char*, int, int, void*) { return -1; }, nullptr));
  if (!opened->key)
    return unexpected{"the authority's key can't be read: " + openssl::error_text()};
  if (X509_check_private_key(opened->certificate.get(), opened->key.get()) != 1)
    return unexpected{std::string{"the authority's key is not that of its certificate"}};
  if (X509_check_ca(opened->certificate.get()) == 0)
    return unexpected{std::string{"the authority's certificate is none of an authority"}};
  return tls_authority{std::move(credentials), std::move(opened)};
}

expected<tls_credentials, std::string> tls_authority::issue(const std::string& name, tls_validity validity) const {
  ERR_clear_error();
  auto* issuer = parts_->certificate.get();
  const openssl::key key{EVP_EC_gen("P-256")};
  if (!key)
    return unexpected{openssl::error_text()};
  const auto made = begin(key.get(), name, X509_get_subject_name(issuer), validity);
  if (!made || !extend(made.get(), issuer, NID_basic_constraints, "critical,CA:FALSE") ||
      !extend(made.get(), issuer, NID_key_usage, "critical,digitalSignature") ||
      !extend(made.get(), issuer, NID_ext_key_usage, "serverAuth,clientAuth") ||
      !extend(made.get(), issuer, NID_subject_key_identifier, "hash") ||
      !extend(made.get(), issuer, NID_authority_key_identifier, "keyid:always") ||
      !extend(made.get(), issuer, NID_subject_alt_name, "DNS:" + name) ||
      X509_sign(made.get(), parts_->key.get(), EVP_sha256()) == 0)
    return unexpected{openssl::error_text()};
  return tls_credentials{pem_of(made.get()), pem_of(key.get())};
}

} // namespace glocal::runtime
