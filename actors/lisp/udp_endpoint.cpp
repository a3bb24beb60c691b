#include "actors/lisp/udp_endpoint.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace glocal::lisp {
namespace {

/// A second of 100,000 requests of 100 B each.
constexpr int receive_buffer_bytes = 8 << 20;

sockaddr_storage to_sockaddr(const ip_address& address, std::uint16_t port, socklen_t& length) {
  sockaddr_storage out{};
  if (address.is_v4()) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(out);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, address.octets.data(), 4);
    length = sizeof v4;
  } else {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(out);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&v6.sin6_addr, address.octets.data(), 16);
    length = sizeof v6;
  }
  return out;
}

peer from_sockaddr(const sockaddr_storage& from) {
  peer out;
  if (from.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(from);
    std::memcpy(out.address.octets.data(), &v4.sin_addr, 4);
    out.port = ntohs(v4.sin_port);
  } else {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(from);
    out.address.family = ip_family::v6;
    std::memcpy(out.address.octets.data(), &v6.sin6_addr, 16);
    out.port = ntohs(v6.sin6_port);
  }
  return out;
}

/// Room for the address a datagram came to or is to leave from.
struct control_room {
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(in6_pktinfo))> octets;
};

ip_address local_address(msghdr& header, ip_family family) {
  ip_address out;
  out.family = family;
  for (auto* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(part), sizeof info);
      std::memcpy(out.octets.data(), &info.ipi_addr, 4);
    } else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, CMSG_DATA(part), sizeof info);
      std::memcpy(out.octets.data(), &info.ipi6_addr, 16);
    }
  }
  return out;
}

/// Says in `header` that the datagram is to leave from `from`.
void leave_from(msghdr& header, control_room& room, const ip_address& from) {
  header.msg_control = room.octets.data();
  header.msg_controllen = room.octets.size();
  auto* part = CMSG_FIRSTHDR(&header);
  if (from.is_v4()) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, from.octets.data(), 4);
    part->cmsg_level = IPPROTO_IP;
    part->cmsg_type = IP_PKTINFO;
    part->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(part), &info, sizeof info);
    header.msg_controllen = CMSG_SPACE(sizeof info);
  } else {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, from.octets.data(), 16);
    part->cmsg_level = IPPROTO_IPV6;
    part->cmsg_type = IPV6_PKTINFO;
    part->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(part), &info, sizeof info);
    header.msg_controllen = CMSG_SPACE(sizeof info);
  }
}

} // namespace

/// Outlives the endpoint while batches are still being handled.
struct udp_endpoint::credits {
  std::mutex lock;
  std::condition_variable returned;
  std::size_t left = max_batches;
  bool over = false;
};

struct udp_endpoint::buffers {
  std::vector<std::byte> payloads = std::vector<std::byte>(batch_datagrams * (max_datagram_bytes + 1));
  std::array<mmsghdr, batch_datagrams> headers{};
  std::array<iovec, batch_datagrams> parts{};
  std::array<sockaddr_storage, batch_datagrams> names{};
  std::array<control_room, batch_datagrams> control{};

  std::byte* payload(std::size_t i) { return payloads.data() + i * (max_datagram_bytes + 1); }
};

expected<std::unique_ptr<udp_endpoint>, std::string> udp_endpoint::open(const std::vector<ip_address>& addresses,
                                                                        std::uint16_t port, receiver to) {
  std::unique_ptr<udp_endpoint> out{new udp_endpoint};
  out->to_ = std::move(to);
  out->credits_ = std::make_shared<credits>();
  ip_address every_v6;
  every_v6.family = ip_family::v6;
  const auto wanted = addresses.empty() ? std::vector{ip_address{}, every_v6} : addresses;
  for (const auto& address : wanted) {
    const auto opened = out->listen(address, port);
    // A machine may have IPv6 switched off; what was asked for by address must be there.
    if (!opened && (address.is_v4() || !addresses.empty()))
      return unexpected{opened.error()};
  }
  out->wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (out->wake_ < 0)
    return unexpected{std::string{"no descriptor is free"}};
  out->thread_ = std::thread{[endpoint = out.get()] { endpoint->run(); }};
  return out;
}

expected<void, std::string> udp_endpoint::listen(const ip_address& address, std::uint16_t port) {
  const auto fd = ::socket(address.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const auto failed = [&] {
    const std::string why = std::strerror(errno);
    if (fd >= 0)
      ::close(fd);
    return unexpected{to_string(address) + " port " + std::to_string(port) + ": " + why};
  };
  if (fd < 0)
    return failed();
  const int on = 1;
  (void)::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
  if (address.is_v4())
    (void)::setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
  else {
    (void)::setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
    (void)::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  socklen_t length = 0;
  auto name = to_sockaddr(address, port, length);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&name), length) != 0)
    return failed();
  if (port_ == 0) {
    (void)::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length);
    port_ = from_sockaddr(name).port;
  }
  sockets_.push_back({fd, address.family, address});
  return {};
}

udp_endpoint::~udp_endpoint() {
  stopping_ = true;
  {
    const std::lock_guard guard{credits_->lock};
    credits_->over = true;
  }
  credits_->returned.notify_all();
  if (wake_ >= 0) {
    const std::uint64_t one = 1;
    (void)!::write(wake_, &one, sizeof one);
  }
  if (thread_.joinable())
    thread_.join();
  for (const auto& one : sockets_)
    ::close(one.fd);
  if (wake_ >= 0)
    ::close(wake_);
}

void udp_endpoint::run() {
  const auto room = std::make_unique<buffers>();
  std::vector<pollfd> waiting;
  for (const auto& one : sockets_)
    waiting.push_back({one.fd, POLLIN, 0});
  waiting.push_back({wake_, POLLIN, 0});
  while (!stopping_) {
    if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR)
      return;
    for (std::size_t i = 0; i < sockets_.size(); ++i)
      if ((waiting[i].revents & (POLLIN | POLLERR)) != 0 && !receive(sockets_[i], *room))
        return;
  }
}

bool udp_endpoint::receive(const listening& from, buffers& room) {
  {
    std::unique_lock guard{credits_->lock};
    credits_->returned.wait(guard, [&] { return credits_->left > 0 || credits_->over; });
    if (credits_->over)
      return false;
    --credits_->left;
  }
  batch out;
  out.credit = {nullptr, [held = credits_](void*) {
                  {
                    const std::lock_guard guard{held->lock};
                    ++held->left;
                  }
                  held->returned.notify_one();
                }};
  for (std::size_t i = 0; i < batch_datagrams; ++i) {
    room.parts[i] = {room.payload(i), max_datagram_bytes + 1};
    auto& header = room.headers[i].msg_hdr;
    header = {};
    header.msg_name = &room.names[i];
    header.msg_namelen = sizeof room.names[i];
    header.msg_iov = &room.parts[i];
    header.msg_iovlen = 1;
    header.msg_control = room.control[i].octets.data();
    header.msg_controllen = room.control[i].octets.size();
  }
  const auto count = ::recvmmsg(from.fd, room.headers.data(), batch_datagrams, MSG_DONTWAIT, nullptr);
  // Errors are those of earlier answers (port unreachable): they are not about what comes next.
  for (int i = 0; i < count; ++i) {
    const auto at = static_cast<std::size_t>(i);
    auto& header = room.headers[at];
    if (header.msg_len > max_datagram_bytes) {
      ++out.oversized;
      continue;
    }
    auto local = local_address(header.msg_hdr, from.family);
    if (local.is_unspecified())
      local = from.address;
    out.datagrams.push_back(
        {from_sockaddr(room.names[at]), local, {room.payload(at), room.payload(at) + header.msg_len}});
  }
  if (!out.datagrams.empty() || out.oversized > 0)
    to_(std::move(out));
  return true;
}

const udp_endpoint::listening* udp_endpoint::socket_for(const datagram& message) const {
  const listening* out = nullptr;
  for (const auto& one : sockets_)
    if (one.family == message.remote.address.family && (out == nullptr || one.address == message.local))
      out = &one;
  return out;
}

void udp_endpoint::send(const std::vector<datagram>& messages) {
  std::array<mmsghdr, batch_datagrams> headers;
  std::array<iovec, batch_datagrams> parts;
  std::array<sockaddr_storage, batch_datagrams> names;
  std::array<control_room, batch_datagrams> control;
  for (std::size_t begin = 0; begin < messages.size();) {
    const auto* from = socket_for(messages[begin]);
    if (from == nullptr) {
      unsent_.fetch_add(1, std::memory_order_relaxed);
      ++begin;
      continue;
    }
    std::size_t count = 0;
    for (; count < batch_datagrams && begin + count < messages.size(); ++count) {
      const auto& one = messages[begin + count];
      if (socket_for(one) != from)
        break;
      parts[count] = {const_cast<std::byte*>(one.payload.data()), one.payload.size()};
      auto& header = headers[count].msg_hdr;
      header = {};
      names[count] = to_sockaddr(one.remote.address, one.remote.port, header.msg_namelen);
      header.msg_name = &names[count];
      header.msg_iov = &parts[count];
      header.msg_iovlen = 1;
      if (!one.local.is_unspecified() && one.local.family == one.remote.address.family)
        leave_from(header, control[count], one.local);
    }
    const auto sent = ::sendmmsg(from->fd, headers.data(), static_cast<unsigned>(count), MSG_DONTWAIT);
    if (sent <= 0) {
      // The first of them can't be sent: its receiver is not reachable, or an earlier one said so.
      unsent_.fetch_add(1, std::memory_order_relaxed);
      ++begin;
    } else {
      begin += static_cast<std::size_t>(sent);
    }
  }
}

} // namespace glocal::lisp
