#pragma once
// The I/O thread of a node: all its TCP connections, their hellos, heartbeats and ends. Internal to runtime/.
//
// It is a thread with epoll of its own and not a caf::io::broker: a broker's socket can only be written by CAF's I/O
// thread, which gets each message as one of CAF's. Measured on one machine (64 B, two processes): through a broker
// 0.3-0.7 M messages/s one way.
//
// Invariants: links change their state on this thread only. Threading: thread-safe; what is private runs on the thread.

#include "runtime/switchboard.hpp"
#include "runtime/tcp_connection.hpp"
#include "runtime/tcp_transport.hpp"

#include <map>
#include <thread>
#include <unordered_map>

namespace glocal::runtime {

class tcp_network : public link_network {
public:
  /// Owns the socket `listener`. REQUIRES: `board` outlives it.
  tcp_network(switchboard& board, int listener, stream_filter_factory make_filter);
  /// As stop().
  ~tcp_network() override;

  /// Begins to serve. Call once.
  void start() {
    thread_ = std::thread{[this] { run(); }};
  }

  void connect(peer_link& link) override;
  void note_lost(peer_link& link) override;
  void start_sweeping() override;

  void set_address(const std::string& node, const std::string& host, std::uint16_t port);
  /// Ends the thread and all connections. Not from the thread itself.
  void stop();

private:
  using connection_ptr = std::shared_ptr<tcp_connection>;
  using stage = tcp_connection::stage;
  using time_point = tcp_connection::time_point;

  struct address_of_peer {
    std::string host;
    std::uint16_t port = 0;
  };

  void run();
  [[nodiscard]] int sleep_limit_ms(time_point now) const;
  void handle_posts();

  // -- sockets
  void watch(int fd, std::uint32_t events, void* tag, bool known);
  void accept_all();
  void dial(peer_link& link);
  connection_ptr open(int fd, stage at, bool dialled, const std::string& node);
  void on_readable(const connection_ptr& one);
  void flush(const connection_ptr& one);
  void on_ended(const connection_ptr& one, std::string why);
  /// Takes it out of service at once.
  void drop(const connection_ptr& one);
  void lose(const connection_ptr& one, const std::string& reason);
  void end(const connection_ptr& one, const std::string& reason);
  void end_invalid(const connection_ptr& one, const std::string& reason);
  /// The filter gave up, and `reason` is what it says.
  void end_by_filter(const connection_ptr& one, const std::string& reason);

  // -- hellos
  void say(const connection_ptr& one, std::uint16_t kind, const bytes& payload = {});
  void say_hello(const connection_ptr& one);
  void refuse(const connection_ptr& one, const std::string& who, const std::string& reason);
  bool on_frames(const connection_ptr& one, byte_view run);
  bool on_first_frame(const connection_ptr& one, const frame_header& header, byte_view payload);
  [[nodiscard]] std::string objection(const tcp_connection& one, const hello& theirs) const;
  [[nodiscard]] bool keeps_other(const tcp_connection& other, const tcp_connection& one, const hello& theirs) const;
  void establish(const connection_ptr& one, peer_link& link, const hello& theirs);

  // -- time
  void tick(time_point now);
  void retry_due(time_point now);
  void look_after(const connection_ptr& one, time_point now);

  switchboard& board_;
  link_context& context_;
  const stream_filter_factory make_filter_;
  const std::shared_ptr<io_wake<tcp_connection>> wake_ = std::make_shared<io_wake<tcp_connection>>();
  const int listener_, epoll_;
  mutable std::mutex address_mutex_;
  std::map<std::string, address_of_peer> addresses_;
  std::atomic<bool> stopping_{false}, sweeping_{false};

  // Of the thread.
  std::unordered_map<tcp_connection*, connection_ptr> connections_;
  /// For each peer the connection that is established or being made.
  std::map<std::string, connection_ptr> current_;
  /// Lost peers that are to be dialled again.
  std::map<std::string, time_point> retries_;
  /// Out of service, but maybe in the events at hand.
  std::vector<connection_ptr> ended_;
  io_wake<tcp_connection>::posts posts_;
  std::vector<std::byte> buffer_;
  bool listening_ = true;
  time_point next_tick_{}, next_sweep_ = time_point::max();

  // Last, so that it sees all of the above.
  std::thread thread_;
};

} // namespace glocal::runtime
