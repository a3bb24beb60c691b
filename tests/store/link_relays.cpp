#include "tests/store/link_relays.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace glocal::test {
namespace {

sockaddr_in at(const std::string& address, std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  ::inet_pton(AF_INET, address.c_str(), &out.sin_addr);
  return out;
}

[[noreturn]] void fail(const char* what) {
  throw std::system_error{errno, std::generic_category(), what};
}

} // namespace

link_relays::link_relays() : wake_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
  if (wake_ < 0)
    fail("eventfd");
  thread_ = std::thread{[this] { run(); }};
}

link_relays::~link_relays() {
  {
    const std::lock_guard guard{mutex_};
    ending_ = true;
  }
  wake();
  thread_.join();
  for (const auto& each : listeners_)
    ::close(each.socket);
  for (const auto& each : connections_)
    for (const int end : each.ends)
      ::close(end);
  ::close(wake_);
}

std::uint16_t link_relays::add(link which, const std::string& address, std::uint16_t port) {
  const int sock = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  auto own = at(address, 0);
  socklen_t size = sizeof own;
  if (sock < 0 || ::bind(sock, reinterpret_cast<sockaddr*>(&own), sizeof own) != 0 || ::listen(sock, 16) != 0 ||
      ::getsockname(sock, reinterpret_cast<sockaddr*>(&own), &size) != 0)
    fail("a relay's socket");
  {
    const std::lock_guard guard{mutex_};
    listeners_.push_back({which, sock, address, port});
  }
  wake();
  return ntohs(own.sin_port);
}

void link_relays::cut(std::size_t one, std::size_t other) {
  {
    const std::lock_guard guard{mutex_};
    cut_.insert({one, other});
    cut_.insert({other, one});
  }
  wake();
}

void link_relays::mend_all() {
  {
    const std::lock_guard guard{mutex_};
    cut_.clear();
  }
  wake();
}

void link_relays::wake() const {
  const std::uint64_t one = 1;
  (void)!::write(wake_, &one, sizeof one);
}

bool link_relays::is_cut(const link& which) const {
  return cut_.contains(which);
}

void link_relays::run() {
  std::vector<pollfd> polled;
  std::vector<const listener*> at_listener;
  std::vector<std::pair<connection*, std::size_t>> at_end;
  for (;;) {
    polled.assign({{wake_, POLLIN, 0}});
    at_listener.clear();
    at_end.clear();
    {
      const std::lock_guard guard{mutex_};
      if (ending_)
        return;
      for (const auto& each : listeners_)
        if (!is_cut(each.which)) {
          polled.push_back({each.socket, POLLIN, 0});
          at_listener.push_back(&each);
        }
      for (auto& each : connections_)
        for (std::size_t end = 0; end < 2; ++end) {
          const auto& out = each.passing[1 - end];
          const auto& in = each.passing[end];
          const auto events =
              static_cast<short>((in.begin == in.end && !in.ended ? POLLIN : 0) | (out.begin < out.end ? POLLOUT : 0));
          if (events != 0 && !is_cut(each.which)) {
            polled.push_back({each.ends[end], events, 0});
            at_end.emplace_back(&each, end);
          }
        }
    }
    if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR)
      return;
    std::uint64_t ignored = 0;
    (void)!::read(wake_, &ignored, sizeof ignored);
    std::size_t place = 1 + at_listener.size();
    for (const auto& [through, end] : at_end)
      if (const auto events = polled[place++].revents; events != 0 && !through->broken)
        pump(*through, end, events);
    for (std::size_t i = 0; i < at_listener.size(); ++i)
      if (polled[1 + i].revents != 0)
        take_on(*at_listener[i]);
    std::erase_if(connections_, [](const connection& each) {
      if (each.broken)
        for (const int end : each.ends)
          ::close(end);
      return each.broken;
    });
  }
}

void link_relays::take_on(const listener& from) {
  const int near = ::accept4(from.socket, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (near < 0)
    return;
  const int far = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto there = at(from.address, from.port);
  // On loopback a connection is there or refused at once.
  if (far < 0 || ::connect(far, reinterpret_cast<const sockaddr*>(&there), sizeof there) != 0 ||
      ::fcntl(far, F_SETFL, O_NONBLOCK) != 0) {
    ::close(near);
    if (far >= 0)
      ::close(far);
    return;
  }
  auto& made = connections_.emplace_back();
  made.which = from.which;
  made.ends = {near, far};
}

void link_relays::pump(connection& through, std::size_t end, short events) {
  auto& in = through.passing[end];
  auto& out = through.passing[1 - end];
  if ((events & POLLOUT) != 0 && out.begin < out.end) {
    const auto sent = ::send(through.ends[end], out.bytes.data() + out.begin, out.end - out.begin, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
      through.broken = true;
    out.begin += static_cast<std::size_t>(std::max<ssize_t>(sent, 0));
  }
  if ((events & (POLLIN | POLLHUP | POLLERR)) != 0 && in.begin == in.end && !in.ended) {
    const auto got = ::recv(through.ends[end], in.bytes.data(), in.bytes.size(), 0);
    if (got < 0 && errno != EAGAIN)
      through.broken = true;
    in.begin = 0;
    in.end = static_cast<std::size_t>(std::max<ssize_t>(got, 0));
    in.ended = got == 0;
  }
  // An end that has closed and been read to the last byte closes the other too.
  const auto drained = [](const direction& each) { return each.ended && each.begin == each.end; };
  if (drained(in) || drained(out))
    through.broken = true;
}

} // namespace glocal::test
