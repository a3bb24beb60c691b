#pragma once
// Calls of etcd's v3 JSON gateway: POST of a JSON text to one of several endpoints, tried in turn until one gives an
// answer its caller accepts, or the time is over. Bounded: time, size of answers, connections.
//
// A call may reach etcd more than once (an attempt that timed out may still happen), so calls must be safe to repeat.
// Threading: any thread calls; one thread of its own does the work and runs all callbacks, which must not block.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace glocal::store {

struct etcd_settings {
  /// As `http://10.0.0.1:2379`; at least one.
  std::vector<std::string> endpoints;
  std::chrono::milliseconds connect_timeout{300};
  /// Of one endpoint. A stopped process accepts connections and never answers: this is what it costs to find out.
  std::chrono::milliseconds attempt_timeout{1000};
  /// Of the whole call: longer than an election of etcd takes (2.1 s measured).
  std::chrono::milliseconds deadline{4000};
  /// A stream is opened again after so long, at the next endpoint: one that hangs is not noticed otherwise.
  std::chrono::milliseconds stream_time{10'000};
  std::size_t max_answer_bytes = std::size_t{8} << 20;
};

class etcd_client {
public:
  /// Body of an answer with status 200; none: the deadline passed. False asks the next endpoint: what came is not what
  /// an etcd says.
  using answer_callback = std::function<bool(std::optional<std::string>)>;
  /// What came of a request that etcd itself may refuse.
  struct reply {
    /// Of HTTP, 200 or a refusal of 4xx; 0: nobody answered in time. What says 5xx is asked of the next endpoint.
    long status = 0;
    std::string body;
    /// An attempt before this one, or the last one of all, may have reached an etcd.
    bool may_have_happened = false;
  };
  /// False asks the next endpoint, as above.
  using reply_callback = std::function<bool(reply)>;
  /// Status of a reply whose body was larger than max_answer_bytes, of which nothing is kept.
  static constexpr long too_large = 413;
  /// A line of a stream; false ends this connection of it.
  using line_callback = std::function<bool(std::string_view)>;
  /// What a stream asks for, each time it is opened.
  using body_source = std::function<std::string()>;
  using stream_id = std::uint64_t;

  explicit etcd_client(etcd_settings settings);
  /// No callback runs after this.
  ~etcd_client();
  etcd_client(const etcd_client&) = delete;
  etcd_client& operator=(const etcd_client&) = delete;

  void call(std::string path, std::string body, answer_callback done);
  /// @param once no attempt follows one that may have reached an etcd.
  void ask(std::string path, std::string body, std::chrono::milliseconds deadline, bool once, reply_callback done);
  /// Keeps a stream open, at one endpoint after the other, until `close`.
  [[nodiscard]] stream_id stream(std::string path, body_source body, line_callback on_line);
  /// Opens it anew, with another body. @param elsewhere at the next endpoint: where it is, nothing is heard.
  void restart(stream_id id, bool elsewhere);
  /// Callbacks of `id` may still run while this returns, not later than the next.
  void close(stream_id id);

private:
  class worker;
  std::unique_ptr<worker> worker_;
};

} // namespace glocal::store
