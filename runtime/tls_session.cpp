#include "runtime/tls_session.hpp"

#include "runtime/tls_authority.hpp"
#include "runtime/tls_context_parts.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace glocal::runtime {

namespace {

/// Where OpenSSL reads and writes: the caller's buffers, so that a record is not copied through a BIO of its own.
struct stream_ends {
  byte_view in;
  bytes* out = nullptr;
};

int read_stream(BIO* bio, char* to, int size) {
  auto& ends = *static_cast<stream_ends*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const auto taken = std::min(ends.in.size(), static_cast<std::size_t>(std::max(size, 0)));
  if (taken == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  std::memcpy(to, ends.in.data(), taken);
  ends.in = ends.in.subspan(taken);
  return static_cast<int>(taken);
}

int write_stream(BIO* bio, const char* from, int size) {
  auto& ends = *static_cast<stream_ends*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (ends.out != nullptr && size > 0) {
    const auto* begin = reinterpret_cast<const std::byte*>(from);
    ends.out->insert(ends.out->end(), begin, begin + size);
  }
  return size;
}

long control_stream(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

const BIO_METHOD* stream_method() {
  static const std::unique_ptr<BIO_METHOD, openssl::freed_by<BIO_meth_free>> method{[] {
    auto* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "glocal stream");
    BIO_meth_set_read(made, read_stream);
    BIO_meth_set_write(made, write_stream);
    BIO_meth_set_ctrl(made, control_stream);
    return made;
  }()};
  return method.get();
}

std::string alert_text(int alert) {
  const char* name = SSL_alert_desc_string_long(alert);
  return name == nullptr ? std::to_string(alert) : name;
}

constexpr const char* one_authority = "both nodes need certificates of one authority (glocal certs)";

/// What to do about an alert the peer sent, RFC 8446 section 6.2.
const char* remedy_of_alert(int alert) {
  switch (alert) {
  case SSL_AD_UNKNOWN_CA:
  case SSL_AD_DECRYPT_ERROR:
  case SSL_AD_BAD_CERTIFICATE: return one_authority;
  case SSL_AD_CERTIFICATE_EXPIRED: return "this node's certificate has expired: issue it anew (glocal certs issue)";
  case SSL_AD_CERTIFICATE_REQUIRED: return "this node showed no certificate";
  case SSL_AD_PROTOCOL_VERSION: return "TLS 1.3 is needed on both sides";
  default: return "the peer's log says more";
  }
}

} // namespace

struct tls_session::parts {
  explicit parts(std::shared_ptr<const tls_context> shared) : context{std::move(shared)} {}

  std::shared_ptr<const tls_context> context;
  openssl::session ssl;
  stream_ends ends;
  bool began = false;
  /// Why the peer's certificate is not accepted; empty while it is.
  std::string objection;
};

namespace {

/// Called for each certificate of the peer's chain; keeps the first reason to refuse, with whose certificate it is.
int look_at_certificate(int good, X509_STORE_CTX* chain) {
  if (good == 1)
    return 1;
  const auto* ssl = static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto& objection = *static_cast<std::string*>(SSL_get_app_data(ssl));
  if (!objection.empty())
    return 0;
  const auto* at = X509_STORE_CTX_get_current_cert(chain);
  const int why = X509_STORE_CTX_get_error(chain);
  const auto* own = X509_STORE_CTX_get0_cert(chain);
  objection = "its certificate (" + openssl::name_text(X509_get_subject_name(own)) + ')';
  switch (why) {
  case X509_V_ERR_CERT_HAS_EXPIRED:
    objection += " expired on " + date_text(openssl::time_of(X509_get0_notAfter(at))) +
                 "; issue it anew (glocal certs issue), or check this machine's clock";
    break;
  case X509_V_ERR_CERT_NOT_YET_VALID:
    objection += " is not valid before " + date_text(openssl::time_of(X509_get0_notBefore(at))) +
                 "; check the clocks of both machines";
    break;
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
  case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
  case X509_V_ERR_CERT_SIGNATURE_FAILURE:
  case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
  case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    objection += " was signed by another authority (" +
                 openssl::name_text(X509_get_issuer_name(at == nullptr ? own : at)) + "); " + one_authority;
    break;
  default: objection += std::string{" is not accepted: "} + X509_verify_cert_error_string(why);
  }
  return 0;
}

} // namespace

tls_session::tls_session(std::shared_ptr<const tls_context> context, side which, bytes& out)
    : parts_{std::make_unique<parts>(std::move(context))} {
  ERR_clear_error();
  auto& self = *parts_;
  self.ssl.reset(SSL_new(self.context->parts_->context.get()));
  auto* bio = BIO_new(stream_method());
  if (!self.ssl || bio == nullptr)
    std::abort(); // no memory for a few KiB
  BIO_set_data(bio, &self.ends);
  BIO_set_init(bio, 1);
  SSL_set_bio(self.ssl.get(), bio, bio);
  SSL_set_app_data(self.ssl.get(), &self.objection);
  SSL_set_verify(self.ssl.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, look_at_certificate);
  if (which == side::server) {
    SSL_set_accept_state(self.ssl.get());
    return;
  }
  SSL_set_connect_state(self.ssl.get());
  self.ends.out = &out;
  SSL_do_handshake(self.ssl.get()); // wants the peer's answer
  self.ends.out = nullptr;
  ERR_clear_error();
}

tls_session::tls_session(tls_session&&) noexcept = default;
tls_session& tls_session::operator=(tls_session&&) noexcept = default;
tls_session::~tls_session() = default;

expected<byte_view, tls_error> tls_session::receive(byte_view& wire, std::span<std::byte> scratch, bytes& out) {
  auto& self = *parts_;
  if (!self.began && !wire.empty()) {
    self.began = true;
    if (!looks_like_tls(wire))
      return unexpected{tls_error{tls_error::kind::no_tls, "it speaks without TLS, this node with TLS; set 'security: "
                                                           "{tls: ...}' to the same in the cluster files of both"}};
  }
  ERR_clear_error();
  self.ends = {wire, &out};
  std::size_t have = 0;
  int outcome = 1;
  // Small records share one scratch, so that what reads frames gets them in one piece.
  while (have < scratch.size()) {
    std::size_t got = 0;
    outcome = SSL_read_ex(self.ssl.get(), scratch.data() + have, scratch.size() - have, &got);
    if (outcome != 1)
      break;
    have += got;
  }
  wire = self.ends.in;
  self.ends = {};
  if (outcome != 1) {
    const int why = SSL_get_error(self.ssl.get(), outcome);
    if (why == SSL_ERROR_ZERO_RETURN)
      wire = {}; // nothing counts after the peer's close_notify
    else if (why != SSL_ERROR_WANT_READ)
      return unexpected{failure()};
  }
  return byte_view{scratch.data(), have};
}

tls_error tls_session::failure() {
  auto& self = *parts_;
  tls_error out{tls_error::kind::failed, {}};
  const auto code = ERR_peek_error();
  const int reason = ERR_GET_REASON(code);
  if (!self.objection.empty()) {
    out.text = self.objection;
  } else if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET &&
             reason <= SSL_AD_REASON_OFFSET + 255) {
    const int alert = reason - SSL_AD_REASON_OFFSET;
    out.text = "it refused this node's TLS: " + alert_text(alert) + "; " + remedy_of_alert(alert);
  } else {
    switch (reason) {
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      out.text = std::string{"it showed no certificate; "} + one_authority;
      break;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_WRONG_SSL_VERSION:
    case SSL_R_WRONG_VERSION_NUMBER: out.text = "it does not speak TLS 1.3, which this node wants"; break;
    default: out.text = "TLS failed: " + openssl::error_text();
    }
  }
  ERR_clear_error();
  return out;
}

void tls_session::send(byte_view plain, bytes& out) {
  auto& self = *parts_;
  if (plain.empty())
    return;
  ERR_clear_error();
  self.ends.out = &out;
  std::size_t written = 0;
  // The stream takes everything, so this fails only when the connection is over.
  SSL_write_ex(self.ssl.get(), plain.data(), plain.size(), &written);
  self.ends.out = nullptr;
  ERR_clear_error();
}

void tls_session::close(bytes& out) {
  auto& self = *parts_;
  ERR_clear_error();
  self.ends.out = &out;
  if (established())
    SSL_shutdown(self.ssl.get());
  self.ends.out = nullptr;
  ERR_clear_error();
}

bool tls_session::established() const noexcept {
  return SSL_is_init_finished(parts_->ssl.get()) == 1;
}

bool tls_session::peer_closed() const noexcept {
  return (SSL_get_shutdown(parts_->ssl.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
}

bool tls_session::certifies(std::string_view node) const {
  const auto names = dns_names(SSL_get0_peer_certificate(parts_->ssl.get()));
  return std::find(names.begin(), names.end(), certified_name(node, parts_->context->cluster())) != names.end();
}

std::string tls_session::description() const {
  const auto* ssl = parts_->ssl.get();
  return established() ? std::string{SSL_get_version(ssl)} + ' ' + SSL_get_cipher_name(ssl) : std::string{};
}

std::string tls_session::peer_names() const {
  std::string out;
  for (const auto& name : dns_names(SSL_get0_peer_certificate(parts_->ssl.get()))) {
    // As much as fits a line.
    if (out.size() + name.size() > 200)
      return out + ", ...";
    out += (out.empty() ? "" : ", ") + name;
  }
  return out.empty() ? "no node" : out;
}

} // namespace glocal::runtime
