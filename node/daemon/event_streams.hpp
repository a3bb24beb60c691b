#pragma once
// Connections that only ever get: streams of server-sent events (WHATWG HTML, section 9.2). One thread serves all of
// them, so that a stream costs no thread, and a client that reads slowly nobody but itself.
//
//   streams at once          max_streams
//   queued for one client    max_queued_bytes; who falls further behind is told `lost`, and its stream ends
//   a client that reads nothing while something is queued    write_patience
//   silence                  a comment every `heartbeat`, so that both sides find out that the other one is gone
//
// Threading: any thread.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace glocal::node {

class event_streams;

/// One client's stream.
class event_stream {
public:
  event_stream(event_streams& owner, std::uint64_t id) : owner_{owner}, id_{id} {}
  event_stream(const event_stream&) = delete;
  event_stream& operator=(const event_stream&) = delete;

  /// Of its node's streams.
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  /// Called once, on any thread, when the stream has ended, whoever ended it. Set it before the stream is used.
  void on_end(std::function<void()> then) { ended_ = std::move(then); }
  /// Sends `text`, whole events. False when the stream is over, or is by now: the client was too slow.
  bool push(std::string_view text);
  /// Sends what is queued, and `last_words`, and ends.
  void end(std::string_view last_words = {});

private:
  friend class event_streams;
  enum class phase { open, ending, over };

  event_streams& owner_;
  const std::uint64_t id_;
  std::function<void()> ended_;
  std::mutex mutex_;
  /// Guarded by mutex_.
  std::string queue_;
  std::size_t sent_ = 0;
  phase phase_ = phase::open;
};

class event_streams {
public:
  struct limits {
    std::size_t max_streams = 256;
    /// The rows a watch begins with come at once; 8 MiB are 40,000 of 200 B.
    std::size_t max_queued_bytes = std::size_t{8} << 20;
    std::chrono::milliseconds heartbeat{10'000}, write_patience{30'000};
  };

  event_streams() : event_streams{limits{}} {}
  explicit event_streams(const limits& bounds);
  /// Ends all connections. REQUIRES: no stream is used any more but by actors, whose pushes come to nothing.
  ~event_streams();
  event_streams(const event_streams&) = delete;
  event_streams& operator=(const event_streams&) = delete;

  /// A stream whose head is queued; null when there are too many.
  [[nodiscard]] std::shared_ptr<event_stream> open();
  /// The stream's connection from now on. Takes over the socket.
  void attach(std::shared_ptr<event_stream> stream, int socket);
  /// Instead of attach: nobody will read it.
  void abandon(const std::shared_ptr<event_stream>& stream);

  [[nodiscard]] std::size_t count() const noexcept { return open_; }

private:
  friend class event_stream;
  using clock = std::chrono::steady_clock;
  struct connection {
    std::shared_ptr<event_stream> stream;
    int socket = -1;
    clock::time_point sent, progressed;
  };

  void wake() noexcept;
  void run();
  /// False when the connection is over.
  [[nodiscard]] bool serve(connection& one, short events);
  void finish(const std::shared_ptr<event_stream>& stream);

  const limits limits_;
  int wake_fd_;
  std::atomic<bool> wake_pending_{false}, ending_{false};
  std::atomic<std::size_t> open_{0};
  std::atomic<std::uint64_t> next_id_{1};
  std::mutex mutex_;
  /// Guarded by mutex_: attached, not yet served.
  std::vector<connection> arrived_;
  std::thread thread_;
};

} // namespace glocal::node
