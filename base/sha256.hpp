#pragma once
// SHA-256 (FIPS 180-4) of what comes in pieces, as `sha256sum` prints it.

#include <memory>
#include <string>
#include <string_view>

namespace glocal {

class sha256 {
public:
  sha256();
  ~sha256();
  sha256(sha256&&) noexcept;
  sha256& operator=(sha256&&) noexcept;

  void add(std::string_view bytes);
  /// 64 hexadecimal digits. REQUIRES: called once, last.
  [[nodiscard]] std::string hex();

private:
  struct state;
  std::unique_ptr<state> state_;
};

[[nodiscard]] std::string sha256_hex(std::string_view bytes);

} // namespace glocal
