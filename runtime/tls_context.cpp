#include "runtime/tls_context.hpp"

#include "runtime/tls_authority.hpp"
#include "runtime/tls_context_parts.hpp"

#include <algorithm>
#include <ctime>
#include <utility>

namespace glocal::runtime {
namespace {

namespace fs = std::filesystem;
using clock = std::chrono::system_clock;

constexpr const char* reissue = "issue it anew with 'glocal certs issue'";

/// Ours first: OpenSSL picks the first that both sides have. AES-128 is the cheapest on every CPU since 2010, ChaCha20
/// is for those without AES instructions.
constexpr const char* cipher_suites = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";
constexpr const char* groups = "X25519:P-256";
/// Of a peer's chain, before it is known: a node's certificate has about 500 bytes.
constexpr long max_peer_chain_bytes = 16L << 10;

std::vector<openssl::certificate> certificates_in(const std::string& pem) {
  std::vector<openssl::certificate> out;
  const auto from = openssl::reading(pem);
  while (auto* one = PEM_read_bio_X509(from.get(), nullptr, nullptr, nullptr))
    out.emplace_back(one);
  ERR_clear_error(); // the end of the text is an error too
  return out;
}

/// Puts together one node's context and collects what is wrong on the way.
class builder {
public:
  builder(const tls_material& material, const std::string& node, const std::string& cluster, clock::time_point now)
      : material_{material}, name_{certified_name(node, cluster)}, node_{node}, cluster_{cluster}, now_{now} {}

  expected<openssl::context, std::vector<file_problem>> build() {
    ERR_clear_error();
    openssl::context made{SSL_CTX_new(TLS_method())};
    if (!made || !configure(made.get())) {
      complain(material_.names.certificate, "TLS can't be set up: " + openssl::error_text(),
               "check the OpenSSL installed");
      return unexpected{std::move(problems_)};
    }
    auto* store = SSL_CTX_get_cert_store(made.get());
    read_authority(store);
    read_certificate();
    read_key();
    if (!chain_.empty() && key_ && X509_check_private_key(chain_[0].get(), key_.get()) != 1) {
      complain(material_.names.key, "is not the key of " + material_.names.certificate.string(),
               "copy both from the same 'glocal certs issue'");
      ERR_clear_error();
    }
    if (!chain_.empty()) {
      check_name();
      if (authority_read_)
        check_chain(store);
    }
    if (!problems_.empty())
      return unexpected{std::move(problems_)};
    for (std::size_t i = 1; i < chain_.size(); ++i)
      SSL_CTX_add1_chain_cert(made.get(), chain_[i].get());
    if (SSL_CTX_use_certificate(made.get(), chain_[0].get()) != 1 ||
        SSL_CTX_use_PrivateKey(made.get(), key_.get()) != 1) {
      complain(material_.names.certificate, "can't be used: " + openssl::error_text(), reissue);
      return unexpected{std::move(problems_)};
    }
    return made;
  }

  [[nodiscard]] clock::time_point not_after() const { return not_after_; }

private:
  void complain(const fs::path& file, std::string reason, std::string remedy) {
    problems_.push_back({file, std::move(reason), std::move(remedy)});
  }

  static bool configure(SSL_CTX* to) {
    SSL_CTX_set_options(to, SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    // No resumption: every connection shows its certificate.
    SSL_CTX_set_session_cache_mode(to, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_cert_list(to, max_peer_chain_bytes);
    // The peer has the authority's certificate or would not believe this one.
    SSL_CTX_set_mode(to, SSL_MODE_NO_AUTO_CHAIN);
    return SSL_CTX_set_min_proto_version(to, TLS1_3_VERSION) == 1 && SSL_CTX_set_num_tickets(to, 0) == 1 &&
           SSL_CTX_set_ciphersuites(to, cipher_suites) == 1 && SSL_CTX_set1_groups_list(to, groups) == 1;
  }

  void read_authority(X509_STORE* into) {
    const auto found = certificates_in(material_.authority);
    if (found.empty())
      return complain(material_.names.authority, "holds no certificate in PEM format",
                      "copy the authority's ca.crt there");
    for (const auto& one : found) {
      if (X509_check_ca(one.get()) == 0)
        return complain(material_.names.authority, "holds a certificate of no authority: " + subject(one.get()),
                        "copy the authority's ca.crt there");
      X509_STORE_add_cert(into, one.get());
    }
    authority_read_ = true;
    // With several, as while one takes over from the other, the last counts.
    for (const auto& one : found)
      not_after_ = std::max(not_after_, openssl::time_of(X509_get0_notAfter(one.get())));
  }

  void read_certificate() {
    chain_ = certificates_in(material_.certificate);
    if (chain_.empty())
      return complain(material_.names.certificate, "holds no certificate in PEM format",
                      std::string{"copy the node's certificate there, or "} + reissue);
    not_after_ = std::min(not_after_, openssl::time_of(X509_get0_notAfter(chain_[0].get())));
  }

  void read_key() {
    const auto from = openssl::reading(material_.key);
    bool encrypted = false;
    // No terminal is asked for a passphrase.
    const auto no_passphrase = [](char*, int, int, void* asked) {
      *static_cast<bool*>(asked) = true;
      return -1;
    };
    key_.reset(PEM_read_bio_PrivateKey(from.get(), nullptr, no_passphrase, &encrypted));
    if (key_)
      return;
    ERR_clear_error();
    if (encrypted)
      complain(material_.names.key, "is protected by a passphrase, which a node can't be asked for",
               "decrypt it: openssl pkey -in KEY -out KEY.plain");
    else
      complain(material_.names.key, "holds no private key in PEM format",
               std::string{"copy the node's key there, or "} + reissue);
  }

  static std::string subject(const X509* of) { return openssl::name_text(X509_get_subject_name(of)); }

  void check_name() {
    const auto names = dns_names(chain_[0].get());
    if (std::find(names.begin(), names.end(), name_) != names.end())
      return;
    std::string found;
    for (const auto& one : names)
      found += (found.empty() ? "" : ", ") + one;
    complain(material_.names.certificate,
             "certifies " + (found.empty() ? "no DNS name" : found) + ", not " + name_ + " (node " + node_ +
                 " of cluster " + cluster_ + ')',
             "copy the certificate of this node there, or " + std::string{reissue});
  }

  void check_chain(X509_STORE* store) {
    // A peer asks for both: who dials is the client, and either may dial.
    for (const int purpose : {X509_PURPOSE_SSL_SERVER, X509_PURPOSE_SSL_CLIENT}) {
      const openssl::store_context context{X509_STORE_CTX_new()};
      auto* rest = sk_X509_new_null();
      for (std::size_t i = 1; i < chain_.size(); ++i)
        sk_X509_push(rest, chain_[i].get());
      X509_STORE_CTX_init(context.get(), store, chain_[0].get(), rest);
      X509_STORE_CTX_set_purpose(context.get(), purpose);
      X509_STORE_CTX_set_time(context.get(), 0, clock::to_time_t(now_));
      const bool good = X509_verify_cert(context.get()) == 1;
      const int why = X509_STORE_CTX_get_error(context.get());
      const auto* at = X509_STORE_CTX_get_current_cert(context.get());
      const auto depth = X509_STORE_CTX_get_error_depth(context.get());
      sk_X509_free(rest);
      ERR_clear_error();
      if (!good)
        return complain_of_chain(why, at, depth);
    }
  }

  void complain_of_chain(int why, const X509* at, int depth) {
    const auto& file = depth > 0 ? material_.names.authority : material_.names.certificate;
    switch (why) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return complain(file, "expired on " + date_text(openssl::time_of(X509_get0_notAfter(at))),
                      depth > 0 ? "make a new authority with 'glocal certs init' and all certificates anew" : reissue);
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return complain(file, "is not valid before " + date_text(openssl::time_of(X509_get0_notBefore(at))),
                      "check this machine's clock");
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return complain(file,
                      "was not signed by the authority in " + material_.names.authority.string() +
                          " (issuer: " + openssl::name_text(X509_get_issuer_name(chain_[0].get())) + ')',
                      "certificate and ca.crt must come from one authority");
    default: return complain(file, std::string{"is not accepted: "} + X509_verify_cert_error_string(why), reissue);
    }
  }

  const tls_material& material_;
  const std::string name_;
  const std::string &node_, &cluster_;
  const clock::time_point now_;
  std::vector<file_problem> problems_;
  std::vector<openssl::certificate> chain_;
  openssl::key key_;
  bool authority_read_ = false;
  clock::time_point not_after_{};
};

} // namespace

std::string date_text(clock::time_point time) {
  const auto seconds = clock::to_time_t(time);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[48];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts)};
}

std::vector<std::string> dns_names(const X509* certificate) {
  std::vector<std::string> out;
  auto* names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const auto* one = sk_GENERAL_NAME_value(names, i);
    if (one->type != GEN_DNS)
      continue;
    std::string name{reinterpret_cast<const char*>(ASN1_STRING_get0_data(one->d.dNSName)),
                     static_cast<std::size_t>(ASN1_STRING_length(one->d.dNSName))};
    // What no node can be called is left out: a zero byte or a wildcard in it would be somebody's attempt.
    const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
      return ('a' <= c && c <= 'z') || ('0' <= c && c <= '9') || c == '-' || c == '.';
    });
    if (plain)
      out.push_back(std::move(name));
  }
  GENERAL_NAMES_free(names);
  return out;
}

expected<certificate_summary, std::string> summarise_certificate(const std::string& pem) {
  const auto from = openssl::reading(pem);
  const openssl::certificate read{PEM_read_bio_X509(from.get(), nullptr, nullptr, nullptr)};
  if (!read)
    return unexpected{openssl::error_text()};
  return certificate_summary{openssl::name_text(X509_get_subject_name(read.get())),
                             openssl::name_text(X509_get_issuer_name(read.get())),
                             dns_names(read.get()),
                             X509_check_ca(read.get()) != 0,
                             openssl::time_of(X509_get0_notBefore(read.get())),
                             openssl::time_of(X509_get0_notAfter(read.get()))};
}

tls_context::tls_context(std::unique_ptr<parts> made) : parts_{std::move(made)} {}
tls_context::~tls_context() = default;

tls_context::result tls_context::make(const tls_material& material, const std::string& node, const std::string& cluster,
                                      clock::time_point now) {
  builder work{material, node, cluster, now};
  auto built = work.build();
  if (!built)
    return unexpected{std::move(built.error())};
  auto holder = std::make_unique<parts>();
  holder->context = std::move(*built);
  std::shared_ptr<tls_context> made{new tls_context{std::move(holder)}};
  made->cluster_ = cluster;
  made->not_after_ = work.not_after();
  return std::shared_ptr<const tls_context>{std::move(made)};
}

tls_context::result tls_context::load(const tls_files& files, const std::string& node, const std::string& cluster) {
  tls_material material;
  material.names = files;
  std::vector<file_problem> problems;
  const auto read = [&](const fs::path& file, secrecy how, std::string& into) {
    auto text = read_small_file(file, how);
    if (text)
      into = std::move(*text);
    else
      problems.push_back(text.error());
  };
  read(files.authority, secrecy::open, material.authority);
  read(files.certificate, secrecy::open, material.certificate);
  read(files.key, secrecy::secret, material.key);
  // What is there is checked although something else is missing: one look shows all.
  auto made = make(material, node, cluster);
  if (!made)
    for (auto& problem : made.error())
      if (std::none_of(problems.begin(), problems.end(), [&](const auto& known) { return known.file == problem.file; }))
        problems.push_back(std::move(problem));
  OPENSSL_cleanse(material.key.data(), material.key.size());
  if (!problems.empty())
    return unexpected{std::move(problems)};
  return made;
}

} // namespace glocal::runtime
