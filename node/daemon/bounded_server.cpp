#include "node/daemon/bounded_server.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace glocal::node {
namespace {

using clock = std::chrono::steady_clock;

/// Set while the accepting thread itself has to turn a connection away.
thread_local bool too_many = false;

/// httplib's pool takes whatever comes; this one turns away what is too much.
class bounded_queue : public httplib::TaskQueue {
public:
  bounded_queue(std::size_t threads, std::size_t most) : pool_{threads}, most_{most} {}

  void enqueue(std::function<void()> serve) override {
    if (open_ >= most_) {
      too_many = true;
      serve();
      too_many = false;
      return;
    }
    ++open_;
    pool_.enqueue([this, serve = std::move(serve)] {
      serve();
      --open_;
    });
  }
  void shutdown() override { pool_.shutdown(); }

private:
  httplib::ThreadPool pool_;
  const std::size_t most_;
  std::atomic<std::size_t> open_{0};
};

/// A connection whose reads and writes end by a deadline for the whole request and the whole answer.
class deadline_stream : public httplib::Stream {
public:
  deadline_stream(socket_t sock, const bounded_server::limits& limits) : sock_{sock}, limits_{limits} {}

  enum class trouble { none, late, too_large };

  /// Waits for the first byte of the next request; false when none comes.
  bool await_request() {
    read_bytes_ = 0;
    deadline_ = clock::now() + limits_.idle_time;
    if (begin_ == end_ && !fill())
      return false;
    trouble_ = trouble::none;
    deadline_ = clock::now() + limits_.request_time;
    read_bytes_ = end_ - begin_;
    written_bytes_ = 0;
    return true;
  }
  [[nodiscard]] trouble what_was_wrong() const { return trouble_; }

  [[nodiscard]] bool is_readable() const override { return begin_ != end_ || wait(POLLIN); }
  [[nodiscard]] bool is_writable() const override { return wait(POLLOUT); }

  ssize_t read(char* to, size_t size) override {
    if (begin_ == end_ && !fill())
      return -1;
    const auto taken = std::min(size, end_ - begin_);
    std::memcpy(to, buffer_.data() + begin_, taken);
    begin_ += taken;
    return static_cast<ssize_t>(taken);
  }

  ssize_t write(const char* from, size_t size) override {
    // What httplib would answer to a request that broke off says less than what is known here.
    if (trouble_ != trouble::none)
      return -1;
    if (written_bytes_ == 0)
      write_start_ = clock::now();
    for (;;) {
      deadline_ = write_start_ + limits_.write_grace +
                  std::chrono::milliseconds{written_bytes_ * 1000 / limits_.min_write_bytes_per_s};
      const auto sent = ::send(sock_, from, size, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent >= 0) {
        written_bytes_ += static_cast<std::size_t>(sent);
        return sent;
      }
      if (errno != EINTR && ((errno != EAGAIN && errno != EWOULDBLOCK) || !wait(POLLOUT)))
        return -1;
    }
  }

  void get_remote_ip_and_port(std::string& ip, int& port) const override { name(::getpeername, ip, port); }
  void get_local_ip_and_port(std::string& ip, int& port) const override { name(::getsockname, ip, port); }
  [[nodiscard]] socket_t socket() const override { return sock_; }

private:
  template <class Get>
  void name(Get get, std::string& ip, int& port) const {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    char host[NI_MAXHOST], service[NI_MAXSERV];
    if (get(sock_, reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
        ::getnameinfo(reinterpret_cast<sockaddr*>(&address), size, host, sizeof host, service, sizeof service,
                      NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
      ip = host;
      port = std::atoi(service);
    }
  }

  bool wait(short what) const {
    for (;;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - clock::now()).count();
      if (left <= 0)
        return false;
      pollfd watched{sock_, what, 0};
      const int ready = ::poll(&watched, 1, static_cast<int>(left));
      if (ready > 0)
        return true;
      if (ready < 0 && errno != EINTR)
        return false;
    }
  }

  /// More into the buffer, which is empty.
  bool fill() {
    if (read_bytes_ >= limits_.max_request_bytes) {
      trouble_ = trouble::too_large;
      return false;
    }
    for (;;) {
      const auto got = ::recv(sock_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
      if (got > 0) {
        begin_ = 0;
        end_ = static_cast<std::size_t>(got);
        read_bytes_ += end_;
        return true;
      }
      if (got == 0)
        return false;
      if (errno == EINTR)
        continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK)
        return false;
      if (!wait(POLLIN)) {
        trouble_ = trouble::late;
        return false;
      }
    }
  }

  const socket_t sock_;
  const bounded_server::limits& limits_;
  std::array<char, 4096> buffer_;
  std::size_t begin_ = 0, end_ = 0, read_bytes_ = 0, written_bytes_ = 0;
  clock::time_point deadline_, write_start_;
  trouble trouble_ = trouble::none;
};

/// What a client still sends while it is told that it is refused: closing with that unread would make its kernel throw
/// the answer away (RFC 9112, 9.6).
void drain(socket_t sock) {
  constexpr auto patience = std::chrono::milliseconds{100};
  constexpr std::size_t most = std::size_t{256} << 10;
  ::shutdown(sock, SHUT_WR);
  std::array<char, 4096> ignored;
  const auto end = clock::now() + patience;
  for (std::size_t got = 0; got < most;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - clock::now()).count();
    pollfd watched{sock, POLLIN, 0};
    if (left <= 0 || ::poll(&watched, 1, static_cast<int>(left)) <= 0)
      return;
    const auto more = ::recv(sock, ignored.data(), ignored.size(), MSG_DONTWAIT);
    if (more <= 0)
      return;
    got += static_cast<std::size_t>(more);
  }
}

/// An answer that needs no request. Sent as far as the socket takes it: whoever gets it has no claim on our time.
void say(socket_t sock, const char* status, const std::string& reason) {
  const auto body = R"({"error":")" + reason + R"("})";
  const auto text = std::string{"HTTP/1.1 "} + status + "\r\nContent-Type: application/json\r\nConnection: close\r\n" +
                    "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  (void)!::send(sock, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

} // namespace

bounded_server::bounded_server(const limits& bounds) : limits_{bounds} {
  new_task_queue = [this] { return new bounded_queue{limits_.threads, limits_.max_connections}; };
  // What its answers say of the connection.
  set_keep_alive_max_count(limits_.max_requests_per_connection);
  set_keep_alive_timeout(std::chrono::duration_cast<std::chrono::seconds>(limits_.idle_time).count());
  // The library would let a second process take a share of the port's connections (SO_REUSEPORT).
  set_socket_options([](socket_t sock) {
    const int yes = 1;
    ::setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
}

bounded_server::~bounded_server() {
  {
    const std::lock_guard lock{mutex_};
    ending_ = true;
    for (const auto sock : open_)
      ::shutdown(sock, SHUT_RDWR);
  }
  stop();
  if (acceptor_.joinable())
    acceptor_.join();
}

expected<std::uint16_t, std::string> bounded_server::start(const endpoint& where) {
  const auto host = to_string(where.address);
  errno = 0;
  int port = where.port;
  if (port == 0)
    port = bind_to_any_port(host);
  else if (!bind_to_port(host, port))
    port = -1;
  if (port <= 0)
    return unexpected{"the API can't listen on " + to_string(where) + ": " +
                      (errno == 0 ? "the address is not usable" : std::strerror(errno))};
  acceptor_ = std::thread{[this] { listen_after_bind(); }};
  while (!is_running())
    std::this_thread::yield();
  return static_cast<std::uint16_t>(port);
}

bool bounded_server::process_and_close_socket(socket_t sock) {
  if (too_many) {
    say(sock, "503 Service Unavailable", "too many connections at once; try again");
  } else {
    {
      const std::lock_guard lock{mutex_};
      if (!ending_)
        open_.insert(sock);
    }
    serve(sock);
    const std::lock_guard lock{mutex_};
    open_.erase(sock);
  }
  ::shutdown(sock, SHUT_RDWR);
  ::close(sock);
  return true;
}

void bounded_server::serve(socket_t sock) {
  deadline_stream stream{sock, limits_};
  for (std::size_t left = limits_.max_requests_per_connection; left > 0; --left) {
    {
      const std::lock_guard lock{mutex_};
      if (ending_)
        return;
    }
    if (!stream.await_request())
      return;
    // A body that a refusal left unread would be taken for the next request.
    bool has_body = true, closed = false;
    const bool answered = process_request(stream, left == 1, closed, [&](const httplib::Request& request) {
      has_body = request.has_header("Content-Length") || request.has_header("Transfer-Encoding");
    });
    if (stream.what_was_wrong() == deadline_stream::trouble::late)
      say(sock, "408 Request Timeout", "the request did not come in time");
    if (stream.what_was_wrong() == deadline_stream::trouble::too_large)
      say(sock, "431 Request Header Fields Too Large", "the request is too large");
    if (!answered || has_body)
      return drain(sock);
    if (closed)
      return;
  }
}

} // namespace glocal::node
