#pragma once
// Where a packet stands: the tenant's address space and the port or overlay position it came in by, in one word. With
// the 5-tuple it is the key of the exact-match stage (DESIGN section 2).

#include "dataplane/switch/path_program.hpp"

#include <compare>
#include <cstdint>

namespace glocal::dataplane {

/// LISP instance ids, and so tenants, are 24 bits wide (RFC 9300 section 8).
inline constexpr std::uint32_t max_tenant = 0xff'ffff;

/// Layout: tenant 24 | kind 8 | SPI 24 | SI 8, or the port in the low 16 bits.
class place {
public:
  constexpr place() = default;
  constexpr auto operator<=>(const place&) const = default;

  [[nodiscard]] static constexpr place port(std::uint32_t tenant, port_id port) noexcept {
    return place{tenant, kind::port, port};
  }
  [[nodiscard]] static constexpr place path(std::uint32_t tenant, std::uint32_t spi, std::uint8_t si) noexcept {
    return place{tenant, kind::path, spi << 8 | si};
  }
  /// Overlay without NSH: plain LISP.
  [[nodiscard]] static constexpr place plain_overlay(std::uint32_t tenant) noexcept {
    return place{tenant, kind::plain, 0};
  }
  /// No position at all: keys the connection itself, under its canonical tuple.
  [[nodiscard]] static constexpr place connection(std::uint32_t tenant) noexcept {
    return place{tenant, kind::connection, 0};
  }

  [[nodiscard]] constexpr std::uint32_t tenant() const noexcept { return static_cast<std::uint32_t>(word_ >> 40); }
  [[nodiscard]] constexpr bool is_port() const noexcept { return kind_of() == kind::port; }
  [[nodiscard]] constexpr bool is_path() const noexcept { return kind_of() == kind::path; }
  [[nodiscard]] constexpr bool is_plain_overlay() const noexcept { return kind_of() == kind::plain; }
  /// `no_port` for the overlay.
  [[nodiscard]] constexpr port_id port() const noexcept { return is_port() ? static_cast<port_id>(word_) : no_port; }
  /// REQUIRES: is_path().
  [[nodiscard]] constexpr std::uint32_t spi() const noexcept { return static_cast<std::uint32_t>(word_) >> 8; }
  [[nodiscard]] constexpr std::uint8_t si() const noexcept { return static_cast<std::uint8_t>(word_); }

  [[nodiscard]] constexpr std::uint64_t word() const noexcept { return word_; }

private:
  enum class kind : std::uint8_t { port, path, plain, connection };

  constexpr place(std::uint32_t tenant, kind what, std::uint32_t where) noexcept
      : word_{std::uint64_t{tenant} << 40 | std::uint64_t{static_cast<std::uint8_t>(what)} << 32 | where} {}
  [[nodiscard]] constexpr kind kind_of() const noexcept { return static_cast<kind>(word_ >> 32 & 0xff); }

  std::uint64_t word_ = 0;
};

} // namespace glocal::dataplane
