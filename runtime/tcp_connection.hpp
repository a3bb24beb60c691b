#pragma once
// One TCP connection: its socket, its outbox and what cuts its stream into frames. Internal to runtime/.
//
// Threading: appending, pushing and closing may happen on any thread; the rest belongs to the I/O thread. The socket is
// closed with the last reference, so that no thread writes to a number that has become somebody else's.

#include "runtime/io_wake.hpp"
#include "runtime/outbox.hpp"
#include "runtime/peer_link.hpp"
#include "runtime/stream_filter.hpp"

#include <chrono>

namespace glocal::runtime {

class tcp_connection : public peer_connection, public std::enable_shared_from_this<tcp_connection> {
public:
  using time_point = std::chrono::steady_clock::time_point;

  enum class stage {
    /// We dialled and sent our hello; the next frame must be theirs.
    greeting,
    /// They dialled; the first frame must be their hello.
    accepted,
    /// Both said hello: frames of actors flow.
    established,
    /// Given up but for a last word; waits for the socket's end, which a deadline enforces.
    closing,
    /// Not served any more.
    ended
  };

  /// Owns `fd`, which must not block.
  tcp_connection(int fd, std::shared_ptr<io_wake<tcp_connection>> io, std::unique_ptr<stream_filter> filter);
  ~tcp_connection() override;

  [[nodiscard]] bool append(const frame_header& header, byte_view payload) override {
    return outbox_.append(header, payload);
  }
  [[nodiscard]] bool append(std::vector<char>&& frames) override { return outbox_.append(std::move(frames)); }
  /// Writes at once if the connection was idle, else leaves it to the I/O thread, which writes all that comes meanwhile
  /// in one piece.
  void push() override;
  [[nodiscard]] std::size_t queued() const override { return outbox_.queued(); }
  [[nodiscard]] std::string encryption() const override { return encryption_; }
  void close(const std::string& reason) override { io_->post_close(shared_from_this(), reason); }

  // -- of the I/O thread ----------------------------------------------------------------------------------------------

  [[nodiscard]] int fd() const noexcept { return fd_; }
  /// "10.0.0.1:4242"
  [[nodiscard]] std::string remote_address() const;
  /// As outbox::flush. REQUIRES: this thread is responsible.
  [[nodiscard]] outbox::outcome flush(int rounds);

  struct chunk {
    byte_view data;
    /// The peer has ended the connection, or it broke; then `problem` may say why.
    bool ended = false;
    /// Why the connection has to end.
    std::string problem = {};
  };
  /// What has arrived, at most buffer.size() bytes of the socket; valid until the next call.
  [[nodiscard]] chunk read(std::span<std::byte> buffer);
  /// Sends what the filter still has to say, as far as the socket takes it now: why it ends the connection.
  void say_last_words();
  /// What the filter speaks, from now on also for `encryption`. REQUIRES: both said hello, nobody else has it yet.
  void note_encryption();

  stage at = stage::accepted;
  bool dialled = false;
  /// The socket takes no more: epoll tells when it does.
  bool blocked = false;
  /// Something came.
  bool heard = false;
  /// Whom we dialled, or who said hello.
  std::string node;
  std::uint64_t incarnation = 0;
  std::shared_ptr<peer_link> link;
  frame_cutter cutter;
  time_point last_heard, last_heartbeat, deadline;
  /// Null without encryption.
  [[nodiscard]] const stream_filter* filter() const noexcept { return filter_.get(); }

private:
  [[nodiscard]] std::ptrdiff_t write_some(byte_view plain);
  [[nodiscard]] std::ptrdiff_t send_some(byte_view wire) const;

  const int fd_;
  const std::shared_ptr<io_wake<tcp_connection>> io_;
  outbox outbox_;
  /// When this connection was last written to.
  std::atomic<time_point> last_push_{time_point{}};

  std::string encryption_;

  // Below: under `filter_mutex_`, unused without a filter.
  std::mutex filter_mutex_;
  const std::unique_ptr<stream_filter> filter_;
  bytes wire_out_;
  std::size_t wire_sent_ = 0;
};

} // namespace glocal::runtime
