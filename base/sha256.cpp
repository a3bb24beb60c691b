#include "base/sha256.hpp"

#include <openssl/evp.h>

#include <stdexcept>

namespace glocal {

struct sha256::state {
  EVP_MD_CTX* context = ::EVP_MD_CTX_new();
  ~state() { ::EVP_MD_CTX_free(context); }
};

namespace {

void must(int done) {
  if (done != 1)
    throw std::runtime_error{"SHA-256 is not to be had from this OpenSSL"};
}

} // namespace

sha256::sha256() : state_{std::make_unique<state>()} {
  must(::EVP_DigestInit_ex(state_->context, ::EVP_sha256(), nullptr));
}

sha256::~sha256() = default;
sha256::sha256(sha256&&) noexcept = default;
sha256& sha256::operator=(sha256&&) noexcept = default;

void sha256::add(std::string_view bytes) {
  must(::EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()));
}

std::string sha256::hex() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  must(::EVP_DigestFinal_ex(state_->context, digest, &size));
  std::string out;
  for (unsigned i = 0; i < size; ++i)
    for (const unsigned shift : {4u, 0u})
      out += "0123456789abcdef"[digest[i] >> shift & 15];
  return out;
}

std::string sha256_hex(std::string_view bytes) {
  sha256 sum;
  sum.add(bytes);
  return sum.hex();
}

} // namespace glocal
