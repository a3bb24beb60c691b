#include "runtime/tcp_transport.hpp"

#include "runtime/router.hpp"
#include "runtime/sockets.hpp"

#include <caf/io/all.hpp>

#include <future>

#include <sys/socket.h>

namespace glocal::runtime {
namespace {

using caf::io::connection_handle;

/// Taken from the kernel at once; frames are cut out of it in place.
constexpr std::size_t read_chunk_bytes = std::size_t{32} << 10;

enum class stage {
  /// We dialled and sent our hello; the next frame must be theirs.
  greeting,
  /// They dialled; the first frame must be their hello.
  accepted,
  /// Both said hello: frames of actors flow.
  established,
  /// Given up; waits for the socket's end, which a deadline enforces.
  closing
};

struct connection {
  runtime::stage stage = stage::accepted;
  bool dialled = false;
  /// Whom we dialled, or who said hello.
  std::string node;
  std::uint64_t incarnation = 0;
  frame_decoder decoder{max_hello_bytes};
  std::uint64_t bytes_appended = 0, bytes_written = 0;
  caf::actor_clock::time_point last_heard, last_sent, deadline;
};

struct tcp_peer_state : router_peer {
  using router_peer::router_peer;
  std::string host;
  std::uint16_t port = 0;
  /// The established connection, or the one we are making; none if `linked` is false.
  connection_handle handle;
  bool linked = false;
  /// Frames that wait for the hello.
  std::vector<char> backlog;
};

class tcp_router : public router<caf::io::broker, tcp_peer_state> {
public:
  tcp_router(caf::actor_config& cfg, const tcp_transport_options& options, int listener)
      : router{cfg, options.self, options.directory, options.limits}, listener_{listener} {
    for (const auto& peer : options.peers)
      set_address(peer.node, peer.host, peer.port);
  }

  caf::behavior make_behavior() override {
    add_doorman(listener_);
    return actor_interface().or_else(
        [this](add_peer_atom, const std::string& node, const std::string& host, std::uint16_t port) {
          set_address(node, host, port);
        },
        [this](tick_atom) { look_after_connections(); },
        [this](const caf::io::new_connection_msg& opened) { on_accepted(opened.handle); },
        [this](const caf::io::new_data_msg& data) { on_data(data.handle, std::as_bytes(std::span{data.buf})); },
        [this](const caf::io::data_transferred_msg& sent) {
          const auto found = connections_.find(sent.handle);
          if (found == connections_.end())
            return;
          found->second.bytes_written += sent.written;
          if (found->second.stage == stage::closing && sent.remaining == 0)
            ::shutdown(socket_of(sent.handle), SHUT_WR);
        },
        [this](const caf::io::connection_closed_msg& closed) { on_closed(closed.handle); },
        [this](const caf::io::acceptor_closed_msg&) {
          note_error("the listening socket was closed");
          quit(caf::make_error(caf::sec::network_syscall_failed, "the listening socket was closed"));
        });
  }

protected:
  // -- what router asks of a network
  // --------------------------------------------------------------------------------------

  void connect(tcp_peer_state& peer) override {
    if (peer.port == 0)
      return lost(peer, "its address is not known");
    const auto fd = start_connecting(peer.host, peer.port);
    if (!fd)
      return lost(peer, fd.error());
    const auto handle = add_scribe(*fd);
    auto& one = open(handle, stage::greeting);
    one.dialled = true;
    one.node = peer.node;
    peer.handle = handle;
    peer.linked = true;
    say_hello(handle, one);
  }

  std::vector<char>& outgoing(tcp_peer_state& peer) override { return peer.up ? wr_buf(peer.handle) : peer.backlog; }

  void appended(tcp_peer_state& peer, std::size_t bytes) override {
    if (peer.up)
      note_appended(peer.handle, connections_.at(peer.handle), bytes);
  }

  [[nodiscard]] std::size_t queued(const tcp_peer_state& peer) const override {
    if (!peer.up)
      return peer.backlog.size();
    const auto& one = connections_.at(peer.handle);
    return one.bytes_appended - one.bytes_written;
  }

  void discard(tcp_peer_state& peer) override {
    peer.backlog = {};
    peer.linked = false;
  }

  [[nodiscard]] bool connecting(const tcp_peer_state& peer) const override { return !peer.up && peer.linked; }

  void disconnect_for(tcp_peer_state& peer, const std::string& reason) override {
    if (!peer.linked)
      return;
    hang_up(peer.handle, connections_.at(peer.handle));
    lost(peer, reason);
  }

  /// CAF ends a broker without closing its mailbox: requests would wait in it for ever. What it does for all other
  /// scheduled actors bounces them; doing it first is harmless, as an actor is cleaned up once.
  bool cleanup(caf::error&& reason, caf::execution_unit* host) override {
    close_all();
    caf::scheduled_actor::cleanup(caf::error{reason}, host); // NOLINT(bugprone-parent-virtual-call): skips the broker
    return router::cleanup(std::move(reason), host);
  }

  /// Socket events reach a broker without its mailbox.
  [[nodiscard]] bool came_by_mailbox(caf::mailbox_element& element) const override {
    const auto& content = element.content();
    return !content.match_elements<caf::io::new_data_msg>() &&
           !content.match_elements<caf::io::data_transferred_msg>() &&
           !content.match_elements<caf::io::new_connection_msg>() &&
           !content.match_elements<caf::io::connection_closed_msg>() &&
           !content.match_elements<caf::io::acceptor_closed_msg>();
  }

private:
  // -- connections
  // --------------------------------------------------------------------------------------------------------

  connection& open(connection_handle handle, stage at) {
    auto& one = connections_[handle];
    one = connection{};
    one.stage = at;
    one.last_heard = one.last_sent = now();
    one.deadline = now() + limits_.connect_timeout;
    ack_writes(handle, true);
    configure_read(handle, caf::io::receive_policy::at_most(read_chunk_bytes));
    if (!ticking_) {
      ticking_ = true;
      delayed_send(this, tick_interval(), tick_atom_v);
    }
    return one;
  }

  // A connection stays in `connections_` until CAF says that it is closed: its handle is the socket's number, which
  // until then is nobody else's. CAF's own close() would forget it at once and never say when the socket really ends.
  static int socket_of(const connection_handle& handle) { return static_cast<int>(handle.id()); }

  /// Ends the connection once what was written is on its way; for those that deserve a last word.
  void part(connection& one) {
    one.stage = stage::closing;
    one.deadline = now() + limits_.connect_timeout;
  }

  /// Ends the connection at once.
  void hang_up(connection_handle handle, connection& one) {
    part(one);
    ::shutdown(socket_of(handle), SHUT_RDWR);
  }

  void note_appended(connection_handle handle, connection& one, std::size_t bytes) {
    one.bytes_appended += bytes;
    one.last_sent = now();
    flush(handle);
  }

  void write_control(connection_handle handle, connection& one, std::uint16_t kind, const bytes& payload) {
    auto& buffer = wr_buf(handle);
    const auto before = buffer.size();
    append_frame(buffer, {.kind = kind, .type = frame_type::control}, payload);
    note_appended(handle, one, buffer.size() - before);
  }

  void say_hello(connection_handle handle, connection& one) {
    write_control(handle, one, control_kinds::hello,
                  encode(hello{protocol_version, self_.cluster, self_.node, self_.incarnation}));
  }

  void refuse(connection_handle handle, connection& one, const std::string& who, const std::string& reason) {
    ++stats_.refusals;
    spdlog::warn("{}: refused {}: {}", actor_name(), who, reason);
    write_control(handle, one, control_kinds::hello_refused, encode_refusal(reason));
    part(one);
  }

  void on_accepted(connection_handle handle) {
    const auto unidentified = std::count_if(connections_.begin(), connections_.end(), [](const auto& entry) {
      return entry.second.stage == stage::accepted || entry.second.stage == stage::closing;
    });
    auto& one = open(handle, stage::accepted);
    if (static_cast<std::size_t>(unidentified) >= limits_.max_unidentified) {
      ++stats_.refusals;
      hang_up(handle, one);
    }
  }

  void on_data(connection_handle handle, byte_view chunk) {
    const auto found = connections_.find(handle);
    if (found == connections_.end() || found->second.stage == stage::closing)
      return;
    auto& one = found->second;
    one.last_heard = now();
    const auto outcome = one.decoder.feed(chunk, [&](const frame_header& header, byte_view payload) {
      if (one.stage == stage::established)
        return on_frame(peer_named(one.node), header, payload);
      return on_first_frame(handle, one, header, payload);
    });
    if (!outcome)
      end_invalid(handle, one, to_string(outcome.error()));
  }

  void end_invalid(connection_handle handle, connection& one, const std::string& reason) {
    if (one.stage == stage::established)
      return invalid(peer_named(one.node), reason);
    ++stats_.invalid_frames;
    const auto who = one.node.empty() ? remote_addr(handle) : one.node;
    note_error(who + ": " + reason);
    spdlog::warn("{}: closed the connection with {}: {}", actor_name(), who, reason);
    hang_up(handle, one);
    give_up_dialling(handle, one, reason);
  }

  /// If `handle` is what we tried to reach its peer by, that attempt failed.
  void give_up_dialling(connection_handle handle, const connection& one, const std::string& reason) {
    if (!one.dialled)
      return;
    auto& peer = peer_named(one.node);
    if (peer.linked && peer.handle == handle)
      lost(peer, reason);
  }

  void on_closed(connection_handle handle) {
    const auto found = connections_.find(handle);
    if (found == connections_.end())
      return;
    const auto one = std::move(found->second);
    connections_.erase(found);
    if (one.stage == stage::established)
      lost(peer_named(one.node), "connection closed by " + one.node);
    else if (one.stage == stage::greeting) {
      const auto& peer = peer_named(one.node);
      give_up_dialling(handle, one, "no connection to " + peer.host + ':' + std::to_string(peer.port));
    }
  }

  // -- hello
  // --------------------------------------------------------------------------------------------------------------

  bool on_first_frame(connection_handle handle, connection& one, const frame_header& header, byte_view payload) {
    if (header.type == frame_type::control && header.kind == control_kinds::hello_refused) {
      const auto reason = decode_refusal(payload).value_or("without a reason");
      ++stats_.refusals;
      spdlog::warn("{}: {} refused us: {}", actor_name(), one.node.empty() ? remote_addr(handle) : one.node, reason);
      hang_up(handle, one);
      give_up_dialling(handle, one, "refused: " + reason);
      return false;
    }
    const auto theirs = header.type == frame_type::control && header.kind == control_kinds::hello
                            ? decode_hello(payload)
                            : std::nullopt;
    if (!theirs) {
      end_invalid(handle, one, "the first frame is no hello");
      return false;
    }
    if (const auto reason = objection(one, *theirs); !reason.empty()) {
      refuse(handle, one, theirs->node, reason);
      give_up_dialling(handle, one, reason);
      return false;
    }
    auto& peer = peer_named(theirs->node);
    if (peer.linked && peer.handle != handle) {
      auto& other = connections_.at(peer.handle);
      if (keeps_other(other, one, *theirs)) {
        // While ours is still being made, a refusal could overtake our hello and fail what waits over there. They hang
        // up when they have seen it; if they never do, this one's deadline passes.
        if (other.stage == stage::established)
          refuse(handle, one, theirs->node, "there is a connection already");
        else
          one.stage = stage::closing;
        return false;
      }
      hang_up(peer.handle, other);
      if (peer.up)
        lost(peer, "replaced by a new connection");
    }
    one.node = theirs->node;
    one.incarnation = theirs->incarnation;
    one.stage = stage::established;
    one.decoder.set_payload_limit(max_payload_bytes);
    if (!one.dialled)
      say_hello(handle, one);
    peer.handle = handle;
    peer.linked = true;
    connected(peer);
    if (!peer.backlog.empty()) {
      auto& buffer = wr_buf(handle);
      buffer.insert(buffer.end(), peer.backlog.begin(), peer.backlog.end());
      note_appended(handle, one, std::exchange(peer.backlog, {}).size());
    }
    return true;
  }

  /// Why we don't talk to them; empty when we do.
  [[nodiscard]] std::string objection(const connection& one, const hello& theirs) const {
    if (theirs.version != protocol_version)
      return "protocol version " + std::to_string(theirs.version) + ", " + self_.node + " speaks " +
             std::to_string(protocol_version);
    if (theirs.cluster != self_.cluster)
      return "cluster '" + theirs.cluster + "', " + self_.node + " belongs to '" + self_.cluster + '\'';
    if (theirs.node == self_.node)
      return "the name " + theirs.node + " is taken";
    if (one.dialled && one.node != theirs.node)
      return "dialled " + one.node + ", found " + theirs.node;
    return {};
  }

  /// Two connections with one peer: the older one of a restarted peer is dead; of two simultaneous ones, the one that
  /// the lower name dialled stays, and both sides see it so; of two by the same side, the newer one knows more.
  [[nodiscard]] bool keeps_other(const connection& other, const connection& one, const hello& theirs) const {
    if (other.stage == stage::established && other.incarnation != theirs.incarnation)
      return other.incarnation > theirs.incarnation;
    if (other.dialled == one.dialled)
      return false;
    return other.dialled == (self_.node < theirs.node);
  }

  // -- time
  // ---------------------------------------------------------------------------------------------------------------

  [[nodiscard]] std::chrono::milliseconds tick_interval() const {
    return std::clamp(limits_.heartbeat_interval / 4, std::chrono::milliseconds{5}, std::chrono::milliseconds{500});
  }

  void look_after_connections() {
    ticking_ = false;
    const auto time = now();
    std::vector<connection_handle> handles;
    for (const auto& [handle, one] : connections_)
      handles.push_back(handle);
    for (const auto& handle : handles) {
      const auto found = connections_.find(handle);
      if (found == connections_.end())
        continue;
      auto& one = found->second;
      if (one.stage == stage::established) {
        if (time - one.last_heard > limits_.silence_limit)
          disconnect_for(peer_named(one.node), "silent for " + std::to_string(limits_.silence_limit.count()) + " ms");
        else if (time - one.last_sent >= limits_.heartbeat_interval)
          write_control(handle, one, control_kinds::heartbeat, {});
      } else if (time >= one.deadline) {
        const bool waiting = one.stage != stage::closing;
        hang_up(handle, one);
        if (waiting)
          give_up_dialling(handle, one, "no hello within " + std::to_string(limits_.connect_timeout.count()) + " ms");
      }
    }
    if (!connections_.empty() && !ticking_) {
      ticking_ = true;
      delayed_send(this, tick_interval(), tick_atom_v);
    }
  }

  void set_address(const std::string& node, const std::string& host, std::uint16_t port) {
    if (node == self_.node)
      return;
    auto& peer = peer_named(node);
    peer.host = host;
    peer.port = port;
    peer.next_attempt = {};
  }

  const int listener_;
  std::unordered_map<connection_handle, connection> connections_;
  bool ticking_ = false;
};

} // namespace

expected<tcp_transport, std::string> spawn_tcp_transport(caf::actor_system& system,
                                                         const tcp_transport_options& options) {
  const auto listener = start_listening(options.listen_host, options.listen_port);
  if (!listener)
    return unexpected{"can't listen on " + options.listen_host + ':' + std::to_string(options.listen_port) + ": " +
                      listener.error()};
  transport made{{}, options.self.node, options.directory};
  caf::actor_config config{&system.middleman().backend()};
  made.router = system.spawn_class<tcp_router, caf::no_spawn_options>(config, options, listener->fd);
  // CAF leaks the acceptor of a broker that ends in the turn of the I/O thread in which it started; this waits for the
  // next turn.
  std::promise<void> started;
  system.middleman().run_later([&started] { started.set_value(); });
  started.get_future().wait();
  return tcp_transport{std::move(made), listener->port};
}

} // namespace glocal::runtime
