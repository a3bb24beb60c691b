#pragma once
// One other node as this node talks to it: what is sent to it and what comes from it, whatever network lies between.
// Internal to runtime/.
//
// Actors send on their own threads: the message is encoded straight into the connection, under the link's mutex. What
// arrives is handed to the target's mailbox by the network's receiving thread; its answer leaves on the target's
// thread, because the "sender" of a request that came from a peer is a proxy whose enqueue() encodes the reply.
//
// Invariants: each accepted request is answered exactly once, at the latest by the sweep after its deadline; a reply is
// taken only from the connection the request left by; no lock is held while an actor or the network is called.
// Threading: thread-safe but for what says otherwise.

#include "runtime/envelope_codec.hpp"
#include "runtime/flow_control.hpp"
#include "runtime/frame.hpp"
#include "runtime/suspicion.hpp"
#include "runtime/transport.hpp"

#include "base/expected.hpp"

#include <caf/actor_addr.hpp>
#include <caf/actor_clock.hpp>
#include <caf/actor_control_block.hpp>
#include <caf/actor_system.hpp>
#include <caf/message_id.hpp>
#include <caf/type_erased_tuple.hpp>

#include <atomic>
#include <mutex>
#include <optional>
#include <unordered_map>

namespace glocal::runtime {

class peer_link;

/// One established connection, as a link uses it. Thread-safe.
class peer_connection {
public:
  virtual ~peer_connection() = default;
  /// Frames leave in the order of these calls. @return true when the caller must call `push`, once it holds no lock.
  [[nodiscard]] virtual bool append(const frame_header& header, byte_view payload) = 0;
  [[nodiscard]] virtual bool append(std::vector<char>&& frames) = 0;
  virtual void push() = 0;
  /// Bytes appended and not taken by the network.
  [[nodiscard]] virtual std::size_t queued() const = 0;
  /// What it is encrypted by, for people; empty when it is not.
  [[nodiscard]] virtual std::string encryption() const { return {}; }
  /// Ends the connection; the network then calls the link's `lost`, now or later.
  virtual void close(const std::string& reason) = 0;
};

/// What a kind of network provides to the links. Thread-safe; called without locks of links.
class link_network {
public:
  virtual ~link_network() = default;
  /// Starts connecting; `connected` or `lost` follows, now or later.
  virtual void connect(peer_link& link) = 0;
  /// A link was lost, and has a retry_pause if it is to be dialled again.
  virtual void note_lost(peer_link& link) = 0;
  /// Requests are outstanding: sweeps are due every sweep_interval until one says that none is.
  virtual void start_sweeping() = 0;
};

/// How late a time-out may be noticed. Sweeps happen only while requests are outstanding.
inline constexpr std::chrono::milliseconds sweep_interval{50};

/// What the links of a node share. Lives as long as its switchboard.
struct link_context {
  link_context(caf::actor_system& in, transport_identity who, std::shared_ptr<directory> here,
               const transport_limits& bounds)
      : system{in}, self{std::move(who)}, actors{std::move(here)}, limits{bounds} {}

  caf::actor_system& system;
  const transport_identity self;
  const std::shared_ptr<directory> actors;
  const transport_limits limits;
  link_network* network = nullptr;
  /// What this and the network belong to.
  std::weak_ptr<const void> owner;
  /// Told of what happens to peers, as subscribers are.
  caf::actor_addr router;
  std::atomic<std::uint64_t> invalid_frames{0}, refusals{0};

  [[nodiscard]] caf::actor_clock::time_point now() const { return system.clock().now(); }
  template <class... Ts>
  void tell_router(const Ts&... values) const {
    if (const auto there = caf::actor_cast<caf::actor>(router))
      caf::anon_send(there, values...);
  }
};

class peer_link : public std::enable_shared_from_this<peer_link> {
public:
  using time_point = caf::actor_clock::time_point;

  peer_link(link_context& context, std::string node);
  ~peer_link();
  peer_link(const peer_link&) = delete;
  peer_link& operator=(const peer_link&) = delete;

  [[nodiscard]] const std::string& node() const noexcept { return node_; }

  // -- for actors of this node ----------------------------------------------------------------------------------------

  /// False when the cast is lost for certain.
  bool cast(std::string_view target, std::string_view sender, std::uint16_t kind, byte_view body);
  /// Sends a request; `requester` gets the answer as the response to `id`.
  void ask(const caf::strong_actor_ptr& requester, caf::message_id id, std::string_view target, std::string_view sender,
           const wire_message& message, caf::timespan timeout);
  void when_writable(const caf::actor& who);

  // -- for the network ------------------------------------------------------------------------------------------------

  /// Both sides said hello. REQUIRES: no connection is established.
  void connected(std::shared_ptr<peer_connection> via, std::uint64_t window_bytes);
  /// The connection ended, or could not be made: all that is outstanding fails now.
  void lost(const std::string& reason);
  /// Frames that came by `via`; ignored when that is not the established connection (any more). One thread at a time.
  /// @error what no correct node sends; the network then ends the connection.
  [[nodiscard]] expected<void, std::string> receive(const peer_connection& via, std::shared_ptr<received_run> run);
  [[nodiscard]] bool up() const;
  /// The pause before the next attempt; nothing when nobody is interested or the link is not down.
  [[nodiscard]] std::optional<caf::timespan> retry_pause() const;
  /// Connects again if the pause is over.
  void retry();
  /// The next attempt need not wait.
  void forget_backoff();
  /// As lost, for good: what comes later is unreachable.
  void stop(const std::string& reason);

  // -- time -----------------------------------------------------------------------------------------------------------

  /// Fails what is overdue. @return whether requests are outstanding.
  bool sweep(time_point now);
  /// Tells the router when suspicion passes the limit, either way.
  void judge(time_point now);

  [[nodiscard]] transport_stats::peer stats() const;

private:
  class request_proxy;
  struct inbound;

  enum class state { down, connecting, up, stopped };

  struct outstanding_request {
    caf::strong_actor_ptr requester;
    caf::message_id id;
    time_point deadline;
  };

  struct name_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const noexcept { return std::hash<std::string_view>{}(name); }
  };
  /// The names that our side of the connection has given to slots.
  struct given_names {
    std::unordered_map<std::string, std::uint16_t, name_hash, std::equal_to<>> slots;
    std::vector<std::string> names;
    std::uint16_t next = 0;
    // Most messages go from and to whom the last one did.
    std::uint16_t last_target = no_name, last_sender = no_name;
  };

  /// The connection whose `push` is due once the lock is released.
  using due_push = std::shared_ptr<peer_connection>;

  std::optional<transport_errc> admit(std::unique_lock<std::mutex>& lock, std::string_view target, std::size_t size);
  std::string reason_of(transport_errc code, std::string_view target, std::size_t size) const;
  void lose_cast(transport_errc why);
  std::uint16_t slot_of(std::string_view name, std::uint16_t& last, due_push& due);
  void write(const frame_header& header, byte_view payload, due_push& due);
  void begin_attempt();
  void end_connection(const std::string& reason, state next);
  caf::strong_actor_ptr proxy_for(const std::shared_ptr<inbound>& in);

  bool on_casts(inbound& in, const std::shared_ptr<received_run>& run, byte_view& rest, std::string& problem);
  bool on_request(const std::shared_ptr<inbound>& in, const std::shared_ptr<received_run>& run,
                  const frame_header& header, byte_view payload, std::string& problem);
  bool on_answer(inbound& in, const frame_header& header, byte_view payload, std::string& problem);
  bool on_control(inbound& in, const frame_header& header, byte_view payload, std::string& problem);
  void answer(const std::shared_ptr<inbound>& in, caf::message_id id, const caf::type_erased_tuple& content);
  void fail(inbound& in, std::uint32_t correlation, std::uint16_t kind, const failure& value);

  transport_stats::traffic& traffic_of(std::uint16_t kind);
  void tell_writable(std::unique_lock<std::mutex>& lock);

  link_context& context_;
  const std::string node_;

  mutable std::mutex mutex_;
  // All below under `mutex_`.
  state state_ = state::down;
  std::shared_ptr<peer_connection> out_;
  std::shared_ptr<inbound> in_;
  /// Frames that wait for the hello.
  std::vector<char> backlog_;
  send_window window_;
  given_names names_;
  std::uint32_t next_correlation_ = 0;
  std::unordered_map<std::uint32_t, outstanding_request> outstanding_;
  std::vector<caf::actor> waiting_for_room_;
  bool used_ = false, suspected_ = false;
  suspicion_meter suspicion_;
  std::chrono::milliseconds backoff_{0};
  time_point next_attempt_{}, last_used_{}, next_complaint_{};
  std::uint64_t random_;
  transport_stats::peer stats_;
  std::pair<std::uint16_t, transport_stats::traffic*> last_traffic_{0, nullptr};
};

/// Answers a request as CAF does.
void respond(const caf::strong_actor_ptr& requester, caf::message_id id, wire_message&& reply);
void respond(const caf::strong_actor_ptr& requester, caf::message_id id, caf::error&& error);

} // namespace glocal::runtime
