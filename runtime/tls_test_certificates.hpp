#pragma once
// Certificates for tests: an authority per cluster, made in memory.

#include "runtime/tls_authority.hpp"
#include "runtime/tls_context.hpp"

#include <chrono>
#include <cstdlib>
#include <string>

namespace glocal::runtime::testing {

inline tls_validity one_day() {
  return tls_validity::for_next(std::chrono::hours{24});
}

inline tls_validity since(std::chrono::hours begin, std::chrono::hours end) {
  const auto now = std::chrono::system_clock::now();
  return {now + begin, now + end};
}

/// An authority for cluster `lab`.
class test_authority {
public:
  explicit test_authority(tls_validity validity = one_day())
      : authority_{std::move(tls_authority::make("lab", validity).value())} {}

  [[nodiscard]] tls_material material(const std::string& name, tls_validity validity = one_day()) const {
    auto issued = authority_.issue(name, validity);
    return {issued.value().certificate, issued.value().key, authority_.credentials().certificate};
  }
  /// What node `node` of cluster `lab` has.
  [[nodiscard]] std::shared_ptr<const tls_context> context(const std::string& node) const {
    return tls_context::make(material(certified_name(node, "lab")), node, "lab").value();
  }
  [[nodiscard]] const tls_authority& authority() const { return authority_; }

private:
  tls_authority authority_;
};

} // namespace glocal::runtime::testing
