#include "node/launcher/node_client.hpp"

#include <httplib.h>

#include <cerrno>
#include <charconv>
#include <functional>
#include <utility>

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

namespace glocal::node {
namespace {

expected<std::string, ask_error>
talk(const std::filesystem::path& socket, const std::string& target, std::chrono::milliseconds timeout,
     const std::function<httplib::Result(httplib::Client&, const httplib::Headers&)>& how) {
  httplib::Client client{socket.string()};
  client.set_address_family(AF_UNIX);
  client.set_connection_timeout(timeout);
  client.set_read_timeout(timeout);
  client.set_write_timeout(timeout);
  const auto answer = how(client, {{"Host", "glocal"}});
  if (!answer)
    return unexpected{
        ask_error{ask_error::kind::unreachable, 0, socket.string() + ": " + httplib::to_string(answer.error())}};
  if (answer->status != 200)
    return unexpected{ask_error{ask_error::kind::refused, answer->status,
                                target + ": HTTP status " + std::to_string(answer->status) +
                                    (answer->body.empty() ? "" : ": " + answer->body.substr(0, 400))}};
  return answer->body;
}

using clock = std::chrono::steady_clock;

/// A connection to a node's socket.
class connection {
public:
  explicit connection(const std::filesystem::path& socket) : fd_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    const auto& path = socket.native();
    if (fd_ < 0 || path.size() >= sizeof to.sun_path)
      return;
    path.copy(to.sun_path, path.size());
    // It waits while others wait to be taken, and not for ever: the node may be stopped.
    const timeval patience{3, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  }
  ~connection() {
    if (fd_ >= 0)
      ::close(fd_);
  }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  [[nodiscard]] bool is_connected() const { return connected_; }
  [[nodiscard]] bool send(std::string_view text) const {
    return ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }
  /// Appends to `into` what comes within `patience`. False at the end of the stream.
  [[nodiscard]] bool receive(std::string& into, std::chrono::milliseconds patience) const {
    pollfd watched{fd_, POLLIN, 0};
    if (::poll(&watched, 1, static_cast<int>(patience.count())) <= 0)
      return true;
    char buffer[65536];
    const auto got = ::recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got > 0)
      into.append(buffer, static_cast<std::size_t>(got));
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
  }

private:
  int fd_;
  bool connected_ = false;
};

} // namespace

expected<node_answer, call_failure> call_node(const std::filesystem::path& socket, const std::string& target,
                                              const std::optional<std::string>& body,
                                              std::chrono::milliseconds timeout) {
  httplib::Client client{socket.string()};
  client.set_address_family(AF_UNIX);
  client.set_connection_timeout(timeout);
  client.set_read_timeout(timeout);
  client.set_write_timeout(timeout);
  const httplib::Headers headers{{"Host", "glocal"}};
  const auto answer = body ? client.Post(target, headers, *body, "application/json") : client.Get(target, headers);
  if (answer)
    return node_answer{answer->status, std::move(answer->body)};
  const auto why = answer.error();
  return unexpected{why == httplib::Error::Connection || why == httplib::Error::ConnectionTimeout
                        ? call_failure::not_sent
                        : call_failure::unknown};
}

expected<node_answer, call_failure> stream_node(const std::filesystem::path& socket, const std::string& target,
                                                std::chrono::milliseconds silence,
                                                const std::function<bool(std::string_view)>& take,
                                                const std::function<bool()>& go_on) {
  constexpr std::chrono::milliseconds step{100};
  /// Of a head or of a refusal: no node says more.
  constexpr std::size_t most = std::size_t{64} << 10;
  const connection node{socket};
  if (!node.is_connected() || !node.send("GET " + target + " HTTP/1.1\r\nHost: glocal\r\nConnection: close\r\n\r\n"))
    return unexpected{call_failure::not_sent};
  std::string text;
  node_answer out;
  auto heard = clock::now();
  for (bool more = true; more && go_on() && clock::now() - heard < silence;) {
    const auto had = text.size();
    more = node.receive(text, step);
    if (text.size() > had)
      heard = clock::now();
    if (out.status == 0) {
      const auto end = text.find("\r\n\r\n");
      if (end == std::string::npos && text.size() < most)
        continue;
      if (end == std::string::npos || text.size() < 12 || !text.starts_with("HTTP/1."))
        return unexpected{call_failure::unknown};
      std::from_chars(text.data() + 9, text.data() + 12, out.status);
      text.erase(0, end + 4);
    }
    if (out.status == 200 && !text.empty() && !take(std::exchange(text, {})))
      return out;
    if (text.size() > most)
      return unexpected{call_failure::unknown};
  }
  if (out.status == 0)
    return unexpected{call_failure::unknown};
  out.body = std::move(text);
  return out;
}

expected<std::string, ask_error> ask_node(const std::filesystem::path& socket, const std::string& target,
                                          std::chrono::milliseconds timeout) {
  return talk(socket, target, timeout, [&](auto& client, const auto& headers) { return client.Get(target, headers); });
}

expected<std::string, ask_error> tell_node(const std::filesystem::path& socket, const std::string& target,
                                           const std::string& body, std::chrono::milliseconds timeout) {
  return talk(socket, target, timeout, [&](auto& client, const auto& headers) {
    return client.Post(target, headers, body, "application/json");
  });
}

} // namespace glocal::node
