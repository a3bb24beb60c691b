#include "runtime/tcp_network.hpp"

#include "runtime/sockets.hpp"
#include "runtime/tls_session.hpp"

#include "base/log.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace glocal::runtime {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

/// Taken from the kernel at once: two runs. More does not pay, it only falls out of the cache.
constexpr std::size_t read_bytes = std::size_t{128} << 10;
/// Frames that share one buffer. The credit for all comes back with the last one.
constexpr std::size_t run_bytes = std::size_t{64} << 10;
/// Pieces written to one connection before the others have their turn.
constexpr int flush_rounds = 8;

} // namespace

tcp_network::tcp_network(switchboard& board, int listener, stream_filter_factory make_filter)
    : board_{board}, context_{board.context()},
      make_filter_{std::move(make_filter)}, listener_{listener}, epoll_{::epoll_create1(EPOLL_CLOEXEC)},
      buffer_(read_bytes) {}

tcp_network::~tcp_network() {
  stop();
  ::close(epoll_);
}

void tcp_network::stop() {
  if (!thread_.joinable())
    return;
  stopping_ = true;
  wake_->post_task([] {});
  thread_.join();
  // Not later: the next incarnation may want the port.
  ::close(listener_);
}

// -- from other threads -----------------------------------------------------------------------------------------------

void tcp_network::connect(peer_link& link) {
  wake_->post_task([this, &link] { dial(link); });
}

void tcp_network::start_sweeping() {
  if (!sweeping_.exchange(true))
    wake_->post_task([this] { next_sweep_ = std::min(next_sweep_, clock::now() + sweep_interval); });
}

void tcp_network::set_address(const std::string& node, const std::string& host, std::uint16_t port) {
  if (node == context_.self.node)
    return;
  {
    const std::scoped_lock lock{address_mutex_};
    addresses_[node] = {host, port};
  }
  board_.link(node).forget_backoff();
}

// -- the thread -------------------------------------------------------------------------------------------------------

void tcp_network::run() {
  wake_->adopt_thread();
  watch(wake_->descriptor(), EPOLLIN, wake_.get(), false);
  watch(listener_, EPOLLIN, this, false);
  std::array<epoll_event, 64> events{};
  while (!stopping_) {
    const auto limit = wake_->may_sleep() ? sleep_limit_ms(clock::now()) : 0;
    const auto count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), limit);
    wake_->awake();
    for (int i = 0; i < count; ++i) {
      const auto& event = events[static_cast<std::size_t>(i)];
      if (event.data.ptr == wake_.get())
        continue;
      if (event.data.ptr == this) {
        accept_all();
        continue;
      }
      // A copy: it may go out of service meanwhile.
      const auto found = connections_.find(static_cast<tcp_connection*>(event.data.ptr));
      if (found == connections_.end())
        continue;
      const auto one = found->second;
      if ((event.events & EPOLLOUT) != 0 && one->blocked)
        flush(one);
      if (one->at != stage::ended && (event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
        on_readable(one);
    }
    handle_posts();
    const auto now = clock::now();
    if (now >= next_sweep_) {
      // Cleared first: who asks from now on is heard of again.
      sweeping_ = false;
      next_sweep_ = time_point::max();
      if (board_.sweep() && !sweeping_.exchange(true))
        next_sweep_ = now + sweep_interval;
    }
    if (now >= next_tick_)
      tick(now);
    retry_due(now);
    ended_.clear();
  }
  // What was accepted last, as far as the kernel takes it.
  handle_posts();
  while (!connections_.empty())
    drop(connections_.begin()->second);
  current_.clear();
  ended_.clear();
}

int tcp_network::sleep_limit_ms(time_point now) const {
  auto due = std::min(next_tick_, next_sweep_);
  for (const auto& [node, at] : retries_)
    due = std::min(due, at);
  if (due <= now)
    return 0;
  // Rounded up: a time-out that comes too early is a turn for nothing.
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(due - now).count());
}

void tcp_network::handle_posts() {
  // Tasks may post, at most a few times in a row: a dial that fails tells its requesters, who ask others.
  for (int round = 0; round < 4; ++round) {
    wake_->take(posts_);
    if (posts_.empty())
      return;
    for (const auto& task : posts_.tasks)
      task();
    for (const auto& one : posts_.flushes)
      flush(one);
    for (const auto& [one, reason] : posts_.closes)
      if (one->at != stage::ended && one->at != stage::closing)
        end(one, reason);
  }
}

// -- sockets ----------------------------------------------------------------------------------------------------------

void tcp_network::watch(int fd, std::uint32_t events, void* tag, bool known) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = tag;
  ::epoll_ctl(epoll_, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
}

void tcp_network::accept_all() {
  for (;;) {
    const auto fd = accept_waiting(listener_);
    if (!fd) {
      // Without a free descriptor the kernel would report the same connection for ever: look again later.
      if (fd.error() != EAGAIN && fd.error() != ECONNABORTED && fd.error() != EINTR && listening_) {
        listening_ = false;
        watch(listener_, 0, this, true);
        spdlog::error("router/{}: can't accept: {}", context_.self.node, std::generic_category().message(fd.error()));
      }
      return;
    }
    const auto unidentified = std::count_if(connections_.begin(), connections_.end(), [](const auto& entry) {
      return entry.second->at == stage::accepted || entry.second->at == stage::closing;
    });
    const auto one = open(*fd, stage::accepted, false, {});
    if (static_cast<std::size_t>(unidentified) >= context_.limits.max_unidentified) {
      ++context_.refusals;
      drop(one);
    }
  }
}

void tcp_network::dial(peer_link& link) {
  retries_.erase(link.node());
  // They dialled first, and said hello since this was wanted.
  if (current_.contains(link.node()))
    return;
  address_of_peer to;
  {
    const std::scoped_lock lock{address_mutex_};
    to = addresses_[link.node()];
  }
  if (to.port == 0)
    return link.lost("its address is not known");
  const auto fd = start_connecting(to.host, to.port);
  if (!fd)
    return link.lost(fd.error());
  const auto one = open(*fd, stage::greeting, true, link.node());
  one->link = link.shared_from_this();
  current_[link.node()] = one;
  say_hello(one);
}

tcp_network::connection_ptr tcp_network::open(int fd, stage at, bool dialled, const std::string& node) {
  auto one = std::make_shared<tcp_connection>(fd, wake_, make_filter_ ? make_filter_(dialled, node) : nullptr);
  one->at = at;
  one->dialled = dialled;
  one->node = node;
  one->last_heard = one->last_heartbeat = clock::now();
  one->deadline = clock::now() + context_.limits.connect_timeout;
  connections_.emplace(one.get(), one);
  watch(fd, EPOLLIN, one.get(), false);
  return one;
}

void tcp_network::on_readable(const connection_ptr& one) {
  const auto arrived = one->read(buffer_);
  if (arrived.ended)
    return on_ended(one, arrived.problem);
  if (!arrived.data.empty() && one->at != stage::closing) {
    one->last_heard = clock::now();
    // Its first bytes are no frame, and what they are is known: the two must agree, so both say it.
    if (!std::exchange(one->heard, true) && one->filter() == nullptr && looks_like_tls(arrived.data)) {
      const auto who = one->node.empty() ? one->remote_address() : one->node;
      const std::string reason = "it speaks TLS, " + context_.self.node +
                                 " without; set 'security: {tls: ...}' to the same in the cluster files of both";
      refuse(one, who, reason);
      return lose(one, reason);
    }
    const auto outcome = one->cutter.feed(arrived.data, [&](byte_view run) { return on_frames(one, run); });
    if (!outcome)
      return end_invalid(one, to_string(outcome.error()));
  }
  if (!arrived.problem.empty())
    end_by_filter(one, arrived.problem);
}

void tcp_network::end_by_filter(const connection_ptr& one, const std::string& reason) {
  if (one->at == stage::ended)
    return;
  one->say_last_words();
  ++(one->at == stage::established ? context_.invalid_frames : context_.refusals);
  spdlog::warn("router/{}: no connection with {}: {}", context_.self.node,
               one->node.empty() ? one->remote_address() : one->node, reason);
  end(one, reason);
}

bool tcp_network::on_frames(const connection_ptr& one, byte_view run) {
  if (one->at != stage::established) {
    const auto header = trusted_header(run.data());
    return on_first_frame(one, header, run.subspan(frame_header_bytes));
  }
  const auto good = one->link->receive(*one, std::make_shared<received_run>(run));
  if (!good)
    end_invalid(one, good.error());
  return one->at == stage::established;
}

void tcp_network::flush(const connection_ptr& one) {
  if (one->at == stage::ended)
    return;
  switch (one->flush(flush_rounds)) {
  case outbox::outcome::empty:
    if (std::exchange(one->blocked, false))
      watch(one->fd(), EPOLLIN, one.get(), true);
    // A last word is said.
    if (one->at == stage::closing)
      ::shutdown(one->fd(), SHUT_WR);
    break;
  case outbox::outcome::blocked:
    if (!std::exchange(one->blocked, true))
      watch(one->fd(), EPOLLIN | EPOLLOUT, one.get(), true);
    break;
  case outbox::outcome::more: wake_->post_flush(one); break;
  case outbox::outcome::broken: on_ended(one, socket_error(one->fd())); break;
  }
}

void tcp_network::drop(const connection_ptr& one) {
  if (one->at == stage::ended)
    return;
  one->at = stage::ended;
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, one->fd(), nullptr);
  ::shutdown(one->fd(), SHUT_RDWR);
  ended_.push_back(one);
  connections_.erase(one.get());
}

/// If the connection is what its peer is reached by, or was to be, then it is not any more.
void tcp_network::lose(const connection_ptr& one, const std::string& reason) {
  const auto current = current_.find(one->node);
  if (current == current_.end() || current->second != one)
    return;
  current_.erase(current);
  board_.link(one->node).lost(reason);
}

/// In this order: a peer that sees the end finds us without it.
void tcp_network::end(const connection_ptr& one, const std::string& reason) {
  lose(one, reason);
  drop(one);
}

void tcp_network::on_ended(const connection_ptr& one, std::string why) {
  if (one->at == stage::established)
    return end(one, "connection closed by " + one->node + (why.empty() ? "" : ": " + why));
  if (one->at != stage::greeting)
    return drop(one);
  address_of_peer to;
  {
    const std::scoped_lock lock{address_mutex_};
    to = addresses_[one->node];
  }
  end(one, "no connection to " + to.host + ':' + std::to_string(to.port) + (why.empty() ? "" : ": " + why));
}

void tcp_network::end_invalid(const connection_ptr& one, const std::string& reason) {
  if (one->at == stage::ended)
    return;
  ++context_.invalid_frames;
  spdlog::warn("router/{}: closed the connection with {}: {}", context_.self.node,
               one->node.empty() ? one->remote_address() : one->node, reason);
  end(one, reason);
}

// -- hellos -----------------------------------------------------------------------------------------------------------

void tcp_network::say(const connection_ptr& one, std::uint16_t kind, const bytes& payload) {
  if (one->append({.kind = kind, .type = frame_type::control}, payload))
    flush(one);
}

void tcp_network::say_hello(const connection_ptr& one) {
  say(one, control_kinds::hello,
      encode(hello{protocol_version, context_.self.cluster, context_.self.node, context_.self.incarnation,
                   context_.limits.window_bytes}));
}

void tcp_network::refuse(const connection_ptr& one, const std::string& who, const std::string& reason) {
  ++context_.refusals;
  spdlog::warn("router/{}: refused {}: {}", context_.self.node, who, reason);
  one->at = stage::closing;
  one->deadline = clock::now() + context_.limits.connect_timeout;
  say(one, control_kinds::hello_refused, encode_refusal(reason));
}

bool tcp_network::on_first_frame(const connection_ptr& one, const frame_header& header, byte_view payload) {
  if (header.type == frame_type::control && header.kind == control_kinds::hello_refused) {
    const auto reason = decode_refusal(payload).value_or("without a reason");
    ++context_.refusals;
    spdlog::warn("router/{}: {} refused us: {}", context_.self.node,
                 one->node.empty() ? one->remote_address() : one->node, reason);
    end(one, "refused: " + reason);
    return false;
  }
  const auto theirs =
      header.type == frame_type::control && header.kind == control_kinds::hello ? decode_hello(payload) : std::nullopt;
  if (!theirs) {
    end_invalid(one, "the first frame is no hello");
    return false;
  }
  if (const auto reason = objection(*one, *theirs); !reason.empty()) {
    refuse(one, theirs->node, reason);
    lose(one, reason);
    return false;
  }
  auto& link = board_.link(theirs->node);
  if (const auto found = current_.find(theirs->node); found != current_.end() && found->second != one) {
    const auto other = found->second;
    if (keeps_other(*other, *one, *theirs)) {
      // While ours is still being made, a refusal could overtake our hello and fail what waits over there. They hang
      // up when they have seen it; if they never do, this one's deadline passes.
      if (other->at == stage::established)
        refuse(one, theirs->node, "there is a connection already");
      else
        one->at = stage::closing;
      return false;
    }
    const bool was_up = other->at == stage::established;
    current_.erase(found);
    // What waits for one that was only being made goes by this one.
    if (was_up)
      link.lost("replaced by a new connection");
    drop(other);
  }
  establish(one, link, *theirs);
  return true;
}

void tcp_network::establish(const connection_ptr& one, peer_link& link, const hello& theirs) {
  one->node = theirs.node;
  one->incarnation = theirs.incarnation;
  one->at = stage::established;
  one->link = link.shared_from_this();
  one->cutter.accept_runs(run_bytes);
  one->note_encryption();
  one->last_heartbeat = clock::now();
  current_[theirs.node] = one;
  retries_.erase(theirs.node);
  if (!one->dialled)
    say_hello(one);
  link.connected(one, theirs.window_bytes);
}

/// Why we don't talk to them; empty when we do.
std::string tcp_network::objection(const tcp_connection& one, const hello& theirs) const {
  const auto& self = context_.self;
  if (theirs.version != protocol_version)
    return "protocol version " + std::to_string(theirs.version) + ", " + self.node + " speaks " +
           std::to_string(protocol_version);
  if (theirs.cluster != self.cluster)
    return "cluster '" + theirs.cluster + "', " + self.node + " belongs to '" + self.cluster + '\'';
  if (theirs.node == self.node)
    return "the name " + theirs.node + " is taken";
  if (one.dialled && one.node != theirs.node)
    return "dialled " + one.node + ", found " + theirs.node;
  if (theirs.window_bytes == 0)
    return "a window of 0 bytes: nothing could be sent";
  if (one.filter() != nullptr)
    return one.filter()->objection(theirs.node);
  return {};
}

/// Two connections with one peer: the older one of a restarted peer is dead; of two simultaneous ones, the one that
/// the lower name dialled stays, and both sides see it so; of two by the same side, the newer one knows more.
bool tcp_network::keeps_other(const tcp_connection& other, const tcp_connection& one, const hello& theirs) const {
  if (other.at == stage::established && other.incarnation != theirs.incarnation)
    return other.incarnation > theirs.incarnation;
  if (other.dialled == one.dialled)
    return false;
  return other.dialled == (context_.self.node < theirs.node);
}

// -- time -------------------------------------------------------------------------------------------------------------

void tcp_network::note_lost(peer_link& link) {
  if (const auto pause = link.retry_pause())
    retries_[link.node()] = clock::now() + std::chrono::duration_cast<clock::duration>(*pause);
}

void tcp_network::tick(time_point now) {
  next_tick_ = now + std::clamp(context_.limits.heartbeat_interval / 4, 5ms, 500ms);
  if (!std::exchange(listening_, true))
    watch(listener_, EPOLLIN, this, true);
  std::vector<connection_ptr> all;
  all.reserve(connections_.size());
  for (const auto& [raw, one] : connections_)
    all.push_back(one);
  for (const auto& one : all)
    look_after(one, now);
}

void tcp_network::retry_due(time_point now) {
  std::vector<std::string> due;
  for (const auto& [node, at] : retries_)
    if (at <= now)
      due.push_back(node);
  for (const auto& node : due) {
    retries_.erase(node);
    board_.link(node).retry();
  }
}

void tcp_network::look_after(const connection_ptr& one, time_point now) {
  const auto& limits = context_.limits;
  if (one->at == stage::established) {
    if (now - one->last_heard > limits.silence_limit) {
      return end(one, "silent for " + std::to_string(limits.silence_limit.count()) + " ms");
    }
    one->link->judge(now);
    // Also when there is other traffic: what the peer learns of our regularity it learns from these.
    if (now - one->last_heartbeat >= limits.heartbeat_interval) {
      one->last_heartbeat = now;
      say(one, control_kinds::heartbeat);
    }
  } else if (one->at != stage::ended && now >= one->deadline) {
    if (one->at != stage::closing && one->dialled)
      lose(one, "no hello within " + std::to_string(limits.connect_timeout.count()) + " ms");
    drop(one);
  }
}

} // namespace glocal::runtime
