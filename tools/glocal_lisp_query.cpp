// lisp query: asks a Map-Resolver and waits for whoever answers.

#include "tools/glocal_clusters.hpp"
#include "tools/lisp_query.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <random>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace glocal::cli {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

/// RFC 9301 section 5.2: at most one Map-Request a second for an EID.
constexpr auto resend_interval = 1s;
/// What has no answer in these is not asked again sooner than a signal is seen.
constexpr auto longest_wait = 100ms;
constexpr int most_at_once = 64;
constexpr std::size_t max_datagram_bytes = 65536;

struct socket_address {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);
  [[nodiscard]] sockaddr* at() { return reinterpret_cast<sockaddr*>(&storage); }
};

socket_address to_socket(const udp_endpoint& endpoint) {
  socket_address out;
  if (endpoint.address.is_v4()) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(out.storage);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(endpoint.port);
    std::memcpy(&v4.sin_addr, endpoint.address.octets.data(), 4);
    out.size = sizeof v4;
  } else {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(out.storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(endpoint.port);
    std::memcpy(&v6.sin6_addr, endpoint.address.octets.data(), 16);
    out.size = sizeof v6;
  }
  return out;
}

udp_endpoint from_socket(const socket_address& address) {
  udp_endpoint out;
  if (address.storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address.storage);
    std::memcpy(out.address.octets.data(), &v4.sin_addr, 4);
    out.port = ntohs(v4.sin_port);
  } else {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address.storage);
    out.address.family = ip_family::v6;
    std::memcpy(out.address.octets.data(), &v6.sin6_addr, 16);
    out.port = ntohs(v6.sin6_port);
  }
  return out;
}

class udp_socket {
public:
  explicit udp_socket(ip_family family)
      : descriptor_{
            ::socket(family == ip_family::v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)} {
    // Errors of sent datagrams (nobody listens, no route) are reported though the socket is not connected: the answer
    // may come from another address than the server's.
    const int on = 1;
    if (family == ip_family::v4)
      (void)::setsockopt(descriptor_, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
    else
      (void)::setsockopt(descriptor_, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
  }
  ~udp_socket() {
    if (descriptor_ >= 0)
      ::close(descriptor_);
  }
  udp_socket(const udp_socket&) = delete;
  udp_socket& operator=(const udp_socket&) = delete;

  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }

private:
  int descriptor_;
};

/// The address packets to `server` leave from. Nothing, and errno set, when there is none.
std::optional<ip_address> address_towards(const udp_endpoint& server) {
  const udp_socket probe{server.address.family};
  auto to = to_socket(server);
  socket_address own;
  if (probe.descriptor() < 0 || ::connect(probe.descriptor(), to.at(), to.size) != 0 ||
      ::getsockname(probe.descriptor(), own.at(), &own.size) != 0)
    return std::nullopt;
  return from_socket(own).address;
}

std::uint64_t random_nonce() {
  std::random_device random;
  return std::uint64_t{random()} << 32 | random();
}

/// One query over one socket.
class exchange {
public:
  exchange(const udp_socket& over, query asked, bytes message)
      : over_{over}, message_{std::move(message)}, started_{clock::now()}, datagram_(max_datagram_bytes) {
    answered_.asked = std::move(asked);
    answered_.sent = 0;
  }

  /// @return whether an answer came until then.
  bool run(std::chrono::milliseconds timeout) {
    const auto deadline = started_ + timeout;
    auto next_send = started_;
    while (!was_interrupted() && error_ == 0) {
      const auto now = clock::now();
      if (now >= deadline)
        return false;
      if (now >= next_send) {
        send();
        next_send = now + resend_interval;
      }
      const auto until = std::min({deadline, next_send, now + longest_wait});
      pollfd ready{over_.descriptor(), POLLIN, 0};
      const auto wait = std::chrono::ceil<std::chrono::milliseconds>(until - now);
      if (::poll(&ready, 1, static_cast<int>(wait.count())) > 0 && receive())
        return true;
    }
    return false;
  }

  [[nodiscard]] const answered_query& answered() const noexcept { return answered_; }
  /// Of the first datagram that could not be delivered; 0.
  [[nodiscard]] int error() const noexcept { return error_; }

private:
  void send() {
    auto to = to_socket(answered_.asked.server);
    ++answered_.sent;
    sent_at_ = clock::now();
    if (::sendto(over_.descriptor(), message_.data(), message_.size(), 0, to.at(), to.size) < 0 && errno != EAGAIN)
      error_ = errno;
  }

  /// @return whether the answer was among what is there.
  bool receive() {
    // A flood must not keep the loop from its clock.
    for (int left = most_at_once; left > 0; --left) {
      socket_address from;
      const auto size = ::recvfrom(over_.descriptor(), datagram_.data(), datagram_.size(), 0, from.at(), &from.size);
      if (size < 0) {
        if (errno != EAGAIN && errno != EINTR)
          error_ = errno;
        return false;
      }
      auto answer = read_answer(byte_view{datagram_}.first(static_cast<std::size_t>(size)), answered_.asked);
      if (answer.what == query_answer::kind::mapping || answer.what == query_answer::kind::negative) {
        answered_.reply = std::move(answer.reply);
        answered_.from = from_socket(from);
        answered_.round_trip = std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - sent_at_);
        return true;
      }
      answered_.ignored.add(answer);
    }
    return false;
  }

  const udp_socket& over_;
  bytes message_;
  clock::time_point started_, sent_at_;
  bytes datagram_;
  answered_query answered_;
  int error_ = 0;
};

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%g s", seconds);
  return text;
}

bool is_negative(const lisp::map_reply& reply) {
  return std::all_of(reply.records.begin(), reply.records.end(),
                     [](const auto& record) { return record.locators.empty(); });
}

int unanswered(const exchange& done, const std::string& server, double timeout_s) {
  if (was_interrupted())
    return interrupted;
  const auto& ignored = done.answered().ignored;
  const auto tail = ignored.any() ? "; " + ignored_text(ignored) : "";
  if (done.error() == ECONNREFUSED)
    complain("nobody speaks LISP at " + server + ": connection refused" + tail);
  else if (done.error() != 0)
    complain("no way to " + server + ": " + std::strerror(done.error()) + tail);
  else
    complain("no answer from " + server + " to " + std::to_string(done.answered().sent) +
             (done.answered().sent == 1 ? " Map-Request in " : " Map-Requests in ") + seconds_text(timeout_s) + tail);
  return unreachable;
}

} // namespace

int lisp_query(const lisp_query_options& options) {
  query asked;
  const auto server = parse_udp_endpoint(options.server, lisp::control_port);
  if (!server) {
    complain("'" + options.server + "' is no server: write IP or IP:PORT, [IP]:PORT for IPv6");
    return usage;
  }
  const auto eid = parse_query_eid(options.eid);
  if (!eid) {
    complain("'" + options.eid +
             "' is no EID: write an address, a prefix, or a flow as 'tcp 10.1.0.7:51514 > 203.0.113.9:80'");
    return usage;
  }
  asked.server = *server;
  asked.eid = *eid;
  asked.encapsulated = !options.plain;
  asked.nonce = random_nonce();
  if (options.instance_id != 0) {
    if (instance_of(eid->eid) != 0 && instance_of(eid->eid) != options.instance_id) {
      complain("the EID is of instance " + std::to_string(instance_of(eid->eid)) + " and --iid says " +
               std::to_string(options.instance_id));
      return usage;
    }
    asked.eid.eid = in_instance(options.instance_id, without_instance(eid->eid));
  }

  const auto local = address_towards(asked.server);
  const udp_socket socket{asked.server.address.family};
  if (!local || socket.descriptor() < 0) {
    complain("no way to " + to_string(asked.server) + ": " + std::strerror(errno));
    return unreachable;
  }
  // To any of our addresses: a Map-Reply may come by another way than the request went.
  auto own =
      to_socket({asked.server.address.is_v4() ? ip_address{} : ip_address{{}, ip_family::v6}, options.source_port});
  if (::bind(socket.descriptor(), own.at(), own.size) != 0 ||
      ::getsockname(socket.descriptor(), own.at(), &own.size) != 0) {
    complain("cannot use UDP port " + std::to_string(options.source_port) + ": " + std::strerror(errno));
    return failed;
  }
  asked.local = {*local, from_socket(own).port};
  auto message = query_message(asked);
  if (!message) {
    complain(message.error().message);
    return usage;
  }

  watch_signals();
  exchange running{socket, asked, std::move(*message)};
  if (!running.run(std::chrono::milliseconds{static_cast<std::int64_t>(options.timeout_s * 1000)}))
    return unanswered(running, to_string(asked.server), options.timeout_s);
  const auto& answered = running.answered();
  if (options.format == output::json)
    std::cout << to_json(answered).dump(2) << '\n';
  else
    std::cout << answer_text(answered);
  return is_negative(answered.reply) ? no_match : done;
}

} // namespace glocal::cli
