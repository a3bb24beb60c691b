#include "runtime/tcp_connection.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace glocal::runtime {
namespace {

/// A connection that was not written to for this long is idle: a message may take the short way. It is shorter than a
/// round trip between processes, so that who talks one message at a time always takes it, and longer than the I/O
/// thread needs to write a piece, so that in a flood nobody does.
constexpr std::chrono::microseconds idle_after{30};
/// Given to the filter at once.
constexpr std::size_t seal_bytes = std::size_t{64} << 10;
/// A peer that makes the filter speak and does not listen: handshakes need 4 KiB, a sealed piece a little over 64.
constexpr std::size_t max_unsent_bytes = std::size_t{256} << 10;

} // namespace

tcp_connection::tcp_connection(int fd, std::shared_ptr<io_wake<tcp_connection>> io,
                               std::unique_ptr<stream_filter> filter)
    : fd_{fd}, io_{std::move(io)}, filter_{std::move(filter)} {
  if (filter_)
    filter_->say(wire_out_);
}

tcp_connection::~tcp_connection() {
  ::close(fd_);
}

void tcp_connection::push() {
  const auto now = std::chrono::steady_clock::now();
  const auto before = last_push_.exchange(now, std::memory_order_relaxed);
  if (now - before > idle_after && !io_->is_owner() && flush(1) == outbox::outcome::empty)
    return;
  io_->post_flush(shared_from_this());
}

outbox::outcome tcp_connection::flush(int rounds) {
  return outbox_.flush([this](byte_view rest) { return write_some(rest); }, rounds);
}

std::ptrdiff_t tcp_connection::send_some(byte_view wire) const {
  std::size_t sent = 0;
  while (sent < wire.size()) {
    const auto count = ::send(fd_, wire.data() + sent, wire.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0)
      sent += static_cast<std::size_t>(count);
    else if (errno == EAGAIN || errno == EWOULDBLOCK)
      break;
    else if (errno != EINTR)
      return -1;
  }
  return static_cast<std::ptrdiff_t>(sent);
}

std::ptrdiff_t tcp_connection::write_some(byte_view plain) {
  if (!filter_)
    return send_some(plain);
  const std::scoped_lock lock{filter_mutex_};
  std::size_t taken = 0;
  for (;;) {
    const auto rest = byte_view{wire_out_}.subspan(wire_sent_);
    const auto sent = send_some(rest);
    if (sent < 0)
      return -1;
    wire_sent_ += static_cast<std::size_t>(sent);
    if (wire_sent_ < wire_out_.size())
      break;
    wire_out_.clear();
    wire_sent_ = 0;
    if (taken == plain.size() || !filter_->ready())
      break;
    const auto piece = plain.subspan(taken, std::min(seal_bytes, plain.size() - taken));
    if (!filter_->seal(piece, wire_out_))
      return -1;
    taken += piece.size();
  }
  return static_cast<std::ptrdiff_t>(taken);
}

tcp_connection::chunk tcp_connection::read(std::span<std::byte> buffer) {
  const auto count = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (count == 0)
    return {{}, true, {}};
  if (count < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
      return {};
    return {{}, true, std::generic_category().message(errno)};
  }
  const auto wire = byte_view{buffer}.first(static_cast<std::size_t>(count));
  if (!filter_)
    return {wire, false, {}};
  bool speak = false;
  chunk out;
  {
    const std::scoped_lock lock{filter_mutex_};
    const auto opened = filter_->open(wire);
    const auto before = wire_out_.size();
    filter_->say(wire_out_);
    speak = wire_out_.size() > before;
    if (opened)
      out.data = *opened;
    else
      out.problem = opened.error();
    if (opened && wire_out_.size() - wire_sent_ > max_unsent_bytes)
      out.problem = "it does not read what it asks for";
  }
  // What it has to say, and what has waited for the end of its handshake.
  const bool responsible = speak && outbox_.claim();
  if (responsible || blocked)
    io_->post_flush(shared_from_this());
  return out;
}

void tcp_connection::say_last_words() {
  if (!filter_)
    return;
  const std::scoped_lock lock{filter_mutex_};
  if (const auto sent = send_some(byte_view{wire_out_}.subspan(wire_sent_)); sent > 0)
    wire_sent_ += static_cast<std::size_t>(sent);
}

void tcp_connection::note_encryption() {
  if (!filter_)
    return;
  const std::scoped_lock lock{filter_mutex_};
  encryption_ = filter_->description();
}

std::string tcp_connection::remote_address() const {
  sockaddr_storage where{};
  socklen_t size = sizeof where;
  char text[INET6_ADDRSTRLEN] = "";
  if (::getpeername(fd_, reinterpret_cast<sockaddr*>(&where), &size) != 0)
    return "somebody";
  if (where.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(where);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    return std::string{text} + ':' + std::to_string(ntohs(v6.sin6_port));
  }
  const auto& v4 = reinterpret_cast<const sockaddr_in&>(where);
  ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
  return std::string{text} + ':' + std::to_string(ntohs(v4.sin_port));
}

} // namespace glocal::runtime
