#include "node/daemon/bounded_server.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <list>
#include <optional>
#include <utility>

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace glocal::node {
namespace {

using clock = std::chrono::steady_clock;

/// Set while the accepting thread itself has to turn a connection away.
thread_local bool too_many = false;

/// What a handler handed its connection to.
thread_local std::shared_ptr<event_stream> taken;

/// A thread a connection, made when none is idle; one that was idle for a while ends. httplib's own pool makes all of
/// them at once and takes whatever comes; this one turns away what is too much.
class bounded_queue : public httplib::TaskQueue {
public:
  bounded_queue(std::size_t threads, std::size_t most) : most_threads_{threads}, most_{most} {}

  void enqueue(std::function<void()> serve) override {
    std::unique_lock lock{mutex_};
    if (open_ >= most_) {
      lock.unlock();
      too_many = true;
      serve();
      too_many = false;
      return;
    }
    ++open_;
    jobs_.push_back(std::move(serve));
    for (auto& ended : std::exchange(ended_, {}))
      ended.join(); // it is on its last line
    if (idle_ < jobs_.size() && threads_.size() < most_threads_) {
      const auto place = threads_.emplace(threads_.end());
      *place = std::thread{[this, place] { work(place); }};
    } else {
      work_.notify_one();
    }
  }
  void shutdown() override {
    {
      const std::lock_guard lock{mutex_};
      ending_ = true;
    }
    work_.notify_all();
    // None is made any more: the accepting thread is the one that shuts down.
    for (auto& thread : threads_)
      thread.join();
    for (auto& thread : ended_)
      thread.join();
    threads_.clear();
    ended_.clear();
  }

private:
  static constexpr std::chrono::seconds idle_time{10};

  void work(std::list<std::thread>::iterator self) {
    std::unique_lock lock{mutex_};
    for (;;) {
      ++idle_;
      work_.wait_for(lock, idle_time, [this] { return ending_ || !jobs_.empty(); });
      --idle_;
      if (jobs_.empty()) {
        if (!ending_)
          ended_.splice(ended_.end(), threads_, self);
        return;
      }
      auto serve = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      serve();
      lock.lock();
      --open_;
    }
  }

  const std::size_t most_threads_, most_;
  std::mutex mutex_;
  std::condition_variable work_;
  /// Guarded by mutex_. Connections taken and not ended, those that wait, threads that do.
  std::size_t open_ = 0, idle_ = 0;
  std::deque<std::function<void()>> jobs_;
  std::list<std::thread> threads_, ended_;
  bool ending_ = false;
};

/// A connection whose reads and writes end by a deadline for the whole request and the whole answer.
class deadline_stream : public httplib::Stream {
public:
  deadline_stream(socket_t sock, const bounded_server::limits& limits) : sock_{sock}, limits_{limits} {}

  enum class trouble { none, late, too_large };

  /// Waits for the first byte of the next request; false when none comes.
  bool await_request() {
    read_bytes_ = 0;
    most_bytes_ = limits_.max_head_bytes;
    head_bytes_ = 0;
    deadline_ = clock::now() + limits_.idle_time;
    if (begin_ == end_ && !fill())
      return false;
    trouble_ = trouble::none;
    deadline_ = clock::now() + limits_.request_time;
    read_bytes_ = end_ - begin_;
    written_bytes_ = 0;
    return true;
  }
  /// The head is in and a body may follow.
  void head_is_in() {
    most_bytes_ = read_bytes_ + limits_.max_body_bytes;
    head_bytes_ = consumed();
  }
  /// Of what follows the head, taken by the library.
  [[nodiscard]] std::size_t body_bytes() const { return consumed() - head_bytes_; }
  [[nodiscard]] bool has_head() const { return head_bytes_ > 0; }
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
    if (taken)
      return static_cast<ssize_t>(size); // the stream has its own head
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

  [[nodiscard]] std::size_t consumed() const { return read_bytes_ - (end_ - begin_); }

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
    if (read_bytes_ >= most_bytes_) {
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
  std::size_t begin_ = 0, end_ = 0, read_bytes_ = 0, head_bytes_ = 0, most_bytes_ = 0, written_bytes_ = 0;
  clock::time_point deadline_, write_start_;
  trouble trouble_ = trouble::none;
};

/// What a client still sends while it is told that it is refused: closing with that unread would make its kernel throw
/// the answer away (RFC 9112, 9.6).
void drain(socket_t sock) {
  constexpr auto patience = std::chrono::milliseconds{100};
  constexpr std::size_t most = std::size_t{4} << 20;
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
                    (std::string_view{status}.starts_with("503") ? "Retry-After: 1\r\n" : "") +
                    "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  (void)!::send(sock, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/// Of a Content-Length; nothing when it is none.
std::optional<std::size_t> length_of(const std::string& header) {
  std::size_t out = 0;
  const auto [end, failure] = std::from_chars(header.data(), header.data() + header.size(), out);
  if (!header.empty() && (failure != std::errc{} || end != header.data() + header.size()))
    return std::nullopt;
  return out;
}

} // namespace

bounded_server::bounded_server(const limits& bounds, event_streams* streams) : limits_{bounds}, streams_{streams} {
  set_payload_max_length(limits_.max_body_bytes);
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
  listen_on_a_thread();
  return static_cast<std::uint16_t>(port);
}

expected<void, std::string> bounded_server::start(const std::filesystem::path& socket) {
  if (socket.native().size() >= sizeof(sockaddr_un{}.sun_path))
    return unexpected{socket.string() + " is longer than a socket's path may be"};
  std::error_code ignored;
  std::filesystem::remove(socket, ignored);
  set_address_family(AF_UNIX);
  const auto former = ::umask(0177);
  // A Unix socket has no port; the library wants one that is not 0.
  const bool bound = bind_to_port(socket.string(), 80);
  const auto why = errno;
  ::umask(former);
  if (!bound)
    return unexpected{"can't listen on " + socket.string() + ": " + std::strerror(why)};
  listen_on_a_thread();
  return {};
}

void bounded_server::listen_on_a_thread() {
  acceptor_ = std::thread{[this] { listen_after_bind(); }};
  while (!is_running())
    std::this_thread::yield();
}

void bounded_server::hand_over(std::shared_ptr<event_stream> stream) {
  taken = std::move(stream);
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
    const bool ours = serve(sock);
    {
      const std::lock_guard lock{mutex_};
      open_.erase(sock);
    }
    if (!ours) {
      streams_->attach(std::exchange(taken, nullptr), sock);
      return true;
    }
  }
  ::shutdown(sock, SHUT_RDWR);
  ::close(sock);
  return true;
}

bool bounded_server::serve(socket_t sock) {
  deadline_stream stream{sock, limits_};
  for (std::size_t left = limits_.max_requests_per_connection; left > 0; --left) {
    {
      const std::lock_guard lock{mutex_};
      if (ending_)
        return true;
    }
    if (!stream.await_request())
      return true;
    std::optional<std::size_t> body;
    bool closed = false;
    const bool answered = process_request(stream, left == 1, closed, [&](const httplib::Request& request) {
      if (!request.has_header("Transfer-Encoding"))
        body = length_of(request.get_header_value("Content-Length"));
      stream.head_is_in();
    });
    if (taken)
      return false;
    if (stream.what_was_wrong() == deadline_stream::trouble::late)
      say(sock, "408 Request Timeout", "the request did not come in time");
    if (stream.what_was_wrong() == deadline_stream::trouble::too_large)
      stream.has_head() ? say(sock, "413 Payload Too Large", "the body is too large")
                        : say(sock, "431 Request Header Fields Too Large", "the request is too large");
    // A body that a refusal left unread would be taken for the next request.
    if (!answered || !body || stream.body_bytes() != *body) {
      drain(sock);
      return true;
    }
    if (closed)
      return true;
  }
  return true;
}

} // namespace glocal::node
