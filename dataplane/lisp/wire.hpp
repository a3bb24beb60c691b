#pragma once
// Cursors over message bytes. Private to this folder.
//
// Both remember the first thing that went wrong and do nothing from then on, so that decoders and encoders read as a
// list of fields in wire order; whoever loops asks ok().

#include "base/bytes.hpp"
#include "dataplane/lisp/error.hpp"
#include "dataplane/lisp/peer_profile.hpp"

#include <optional>

namespace glocal::lisp {

/// A message of 64 KiB could hold 32 K addresses of family 0; no sane one has more than this.
inline constexpr std::size_t max_addresses = 4096;
/// A UDP datagram over IPv4.
inline constexpr std::size_t max_message_bytes = 65507;

/// Reads within what it was given, and within what narrow() left of it.
class reader {
public:
  explicit reader(byte_view data) noexcept : data_{data}, end_{data.size()} {}

  [[nodiscard]] bool ok() const noexcept { return !error_; }
  [[nodiscard]] const std::optional<decode_error>& error() const noexcept { return error_; }
  [[nodiscard]] std::size_t offset() const noexcept { return at_; }
  [[nodiscard]] std::size_t left() const noexcept { return end_ - at_; }
  [[nodiscard]] byte_view all() const noexcept { return data_; }

  void fail(decode_fault fault, const char* field) noexcept { fail(fault, field, at_); }
  void fail(decode_fault fault, const char* field, std::size_t offset) noexcept {
    if (!error_)
      error_ = decode_error{fault, offset, field};
  }

  [[nodiscard]] std::uint8_t u8(const char* field) noexcept {
    const auto* at = step(1, field);
    return at == nullptr ? std::uint8_t{0} : load_u8(at);
  }
  [[nodiscard]] std::uint16_t u16(const char* field) noexcept { return number<std::uint16_t>(field); }
  [[nodiscard]] std::uint32_t u32(const char* field) noexcept { return number<std::uint32_t>(field); }
  [[nodiscard]] std::uint64_t u64(const char* field) noexcept { return number<std::uint64_t>(field); }
  /// Empty when there are not so many.
  [[nodiscard]] byte_view take(std::size_t count, const char* field) noexcept {
    const auto* at = step(count, field);
    return at == nullptr ? byte_view{} : byte_view{at, count};
  }
  /// Leaves `to` as it is when there are not so many.
  void take_into(std::span<std::uint8_t> to, const char* field) noexcept {
    if (const auto* at = step(to.size(), field))
      std::memcpy(to.data(), at, to.size());
  }
  void skip(std::size_t count, const char* field) noexcept { (void)step(count, field); }

  /// From here on the input ends after `count` bytes. @return what widen() takes to undo it.
  [[nodiscard]] std::size_t narrow(std::size_t count, const char* field) noexcept {
    const auto outer = end_;
    if (count > left())
      fail(decode_fault::truncated, field);
    else if (ok())
      end_ = at_ + count;
    return outer;
  }
  /// What is left of the narrowed part is an error.
  void widen(std::size_t outer, const char* field) noexcept {
    if (left() != 0)
      fail(decode_fault::trailing, field);
    end_ = outer;
  }

  /// False, and failed, when the message has had its most addresses.
  [[nodiscard]] bool count_address(const char* field) noexcept {
    if (addresses_++ < max_addresses)
      return ok();
    fail(decode_fault::too_many, field);
    return false;
  }

private:
  const std::byte* step(std::size_t count, const char* field) noexcept {
    if (error_)
      return nullptr;
    if (count > left()) {
      fail(decode_fault::truncated, field);
      return nullptr;
    }
    const auto* at = data_.data() + at_;
    at_ += count;
    return at;
  }
  template <class Int>
  Int number(const char* field) noexcept {
    const auto* at = step(sizeof(Int), field);
    return at == nullptr ? Int{0} : load_be<Int>(at);
  }

  byte_view data_;
  std::size_t at_ = 0, end_;
  std::size_t addresses_ = 0;
  std::optional<decode_error> error_;
};

class writer {
public:
  explicit writer(const peer_profile& peer) : peer_{peer} {}

  [[nodiscard]] const peer_profile& peer() const noexcept { return peer_; }
  [[nodiscard]] bool ok() const noexcept { return !error_; }
  [[nodiscard]] const std::optional<encode_error>& error() const noexcept { return error_; }
  [[nodiscard]] std::size_t size() const noexcept { return out_.size(); }
  [[nodiscard]] bytes take() { return std::move(out_); }

  void impossible(std::string message) { fail(encode_error::kind::impossible, std::move(message)); }
  void refuse(const std::string& what) {
    fail(encode_error::kind::refused,
         what + " must not be sent to a peer of profile '" + std::string{peer_.name} + "'");
  }
  /// impossible(message) unless `holds`.
  void require(bool holds, const char* message) {
    if (!holds)
      impossible(message);
  }

  void u8(std::uint8_t value) { number(value); }
  void u16(std::uint16_t value) { number(value); }
  void u32(std::uint32_t value) { number(value); }
  void u64(std::uint64_t value) { number(value); }
  void put(byte_view data) { out_.insert(out_.end(), data.begin(), data.end()); }
  void zeros(std::size_t count) { out_.resize(out_.size() + count); }
  /// Overwrites what stands at `at`. REQUIRES: it was written.
  void patch_u16(std::size_t at, std::uint16_t value) { store_be16(out_.data() + at, value); }
  [[nodiscard]] std::byte* at(std::size_t offset) { return out_.data() + offset; }

private:
  void fail(encode_error::kind kind, std::string message) {
    if (!error_)
      error_ = encode_error{kind, std::move(message)};
  }
  template <class Int>
  void number(Int value) {
    const auto at = out_.size();
    out_.resize(at + sizeof(Int));
    store_be(out_.data() + at, value);
  }

  const peer_profile& peer_;
  bytes out_;
  std::optional<encode_error> error_;
};

} // namespace glocal::lisp
