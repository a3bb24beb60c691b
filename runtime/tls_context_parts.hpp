#pragma once
// What tls_context holds, for tls_session.

#include "runtime/tls_context.hpp"
#include "runtime/tls_openssl.hpp"

#include <string>
#include <vector>

namespace glocal::runtime {

struct tls_context::parts {
  openssl::context context;
};

/// The DNS names of a certificate, without those no node has (RFC 6125 knows wildcards, clusters do not).
[[nodiscard]] std::vector<std::string> dns_names(const X509* certificate);

} // namespace glocal::runtime
