#include "node/daemon/event_streams.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace glocal::node {
namespace {

/// The body ends with the connection: no length, no chunks.
constexpr std::string_view head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
                                  "Connection: close\r\n\r\n";
constexpr std::string_view comment = ": \n\n";
constexpr std::string_view too_slow =
    "event: lost\ndata: {\"error\":\"the client reads too slowly; go on from the last id\"}\n\n";

} // namespace

bool event_stream::push(std::string_view text) {
  const std::lock_guard lock{mutex_};
  if (phase_ != phase::open)
    return false;
  const bool fits = queue_.size() - sent_ + text.size() <= owner_.limits_.max_queued_bytes;
  queue_ += fits ? text : too_slow;
  if (!fits)
    phase_ = phase::ending;
  owner_.wake();
  return fits;
}

void event_stream::end(std::string_view last_words) {
  const std::lock_guard lock{mutex_};
  if (phase_ != phase::open)
    return;
  queue_ += last_words;
  phase_ = phase::ending;
  owner_.wake();
}

event_streams::event_streams(const limits& bounds)
    : limits_{bounds}, wake_fd_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
  if (wake_fd_ < 0)
    throw std::system_error{errno, std::generic_category(), "eventfd"};
  thread_ = std::thread{[this] { run(); }};
}

event_streams::~event_streams() {
  ending_ = true;
  wake();
  thread_.join();
  ::close(wake_fd_);
}

std::shared_ptr<event_stream> event_streams::open() {
  if (open_.fetch_add(1) >= limits_.max_streams) {
    --open_;
    return nullptr;
  }
  auto out = std::make_shared<event_stream>(*this, next_id_++);
  out->queue_ = head;
  return out;
}

void event_streams::attach(std::shared_ptr<event_stream> stream, int socket) {
  {
    const std::lock_guard lock{mutex_};
    const auto now = clock::now();
    arrived_.push_back({std::move(stream), socket, now, now});
  }
  wake();
}

void event_streams::abandon(const std::shared_ptr<event_stream>& stream) {
  finish(stream);
}

void event_streams::wake() noexcept {
  if (wake_pending_.exchange(true))
    return;
  const std::uint64_t one = 1;
  (void)!::write(wake_fd_, &one, sizeof one);
}

void event_streams::finish(const std::shared_ptr<event_stream>& stream) {
  std::function<void()> then;
  {
    const std::lock_guard lock{stream->mutex_};
    if (std::exchange(stream->phase_, event_stream::phase::over) == event_stream::phase::over)
      return;
    stream->queue_ = {};
    then = std::move(stream->ended_);
  }
  --open_;
  if (then)
    then();
}

void event_streams::run() {
  std::vector<connection> served;
  std::vector<pollfd> watched;
  while (!ending_) {
    {
      const std::lock_guard lock{mutex_};
      for (auto& each : std::exchange(arrived_, {}))
        served.push_back(std::move(each));
    }
    watched.assign(1, {wake_fd_, POLLIN, 0});
    for (const auto& each : served) {
      const std::lock_guard lock{each.stream->mutex_};
      const bool more = each.stream->queue_.size() > each.stream->sent_;
      watched.push_back({each.socket, static_cast<short>(POLLIN | POLLRDHUP | (more ? POLLOUT : 0)), 0});
    }
    // A tenth of the shorter time is precise enough.
    const auto nap = std::min(limits_.heartbeat, limits_.write_patience) / 10;
    const bool timed = !served.empty();
    if (::poll(watched.data(), watched.size(), timed ? static_cast<int>(std::max(nap.count(), 1L)) : -1) < 0 &&
        errno != EINTR)
      break;
    if ((watched[0].revents & POLLIN) != 0) {
      std::uint64_t ignored = 0;
      (void)!::read(wake_fd_, &ignored, sizeof ignored);
      wake_pending_ = false;
    }
    std::size_t kept = 0;
    for (std::size_t i = 0; i < served.size(); ++i) {
      if (serve(served[i], watched[i + 1].revents)) {
        if (kept != i)
          served[kept] = std::move(served[i]);
        ++kept;
        continue;
      }
      ::shutdown(served[i].socket, SHUT_RDWR);
      ::close(served[i].socket);
      finish(served[i].stream);
    }
    served.erase(served.begin() + static_cast<std::ptrdiff_t>(kept), served.end());
  }
  const std::lock_guard lock{mutex_};
  for (auto& each : arrived_)
    served.push_back(std::move(each));
  for (auto& each : served) {
    ::shutdown(each.socket, SHUT_RDWR);
    ::close(each.socket);
    finish(each.stream);
  }
}

bool event_streams::serve(connection& one, short events) {
  if ((events & (POLLIN | POLLRDHUP | POLLHUP | POLLERR)) != 0) {
    // It has nothing to say any more; an end is what is looked for.
    std::array<char, 1024> ignored;
    const auto got = ::recv(one.socket, ignored.data(), ignored.size(), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
      return false;
  }
  auto& stream = *one.stream;
  const std::lock_guard lock{stream.mutex_};
  const auto now = clock::now();
  if (stream.queue_.empty() && stream.phase_ == event_stream::phase::open && now - one.sent >= limits_.heartbeat)
    stream.queue_ = comment;
  if (stream.queue_.empty())
    one.progressed = now;
  while (stream.sent_ < stream.queue_.size()) {
    const auto sent = ::send(one.socket, stream.queue_.data() + stream.sent_, stream.queue_.size() - stream.sent_,
                             MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR)
      continue;
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
      return false;
    if (sent < 0)
      return now - one.progressed < limits_.write_patience;
    stream.sent_ += static_cast<std::size_t>(sent);
    one.sent = one.progressed = now;
  }
  stream.queue_.clear();
  stream.sent_ = 0;
  // What a burst took is given back.
  if (stream.queue_.capacity() > (std::size_t{256} << 10))
    stream.queue_.shrink_to_fit();
  return stream.phase_ == event_stream::phase::open;
}

} // namespace glocal::node
