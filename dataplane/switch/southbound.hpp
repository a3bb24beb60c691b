#pragma once
// The border between a switch and the agent that programs it: commands down, events up, counters to read.
//
// The idea that keeps updates small: an exact-match entry never holds a resolved action. It says "step k of path p" or
// "by destination EID" and is resolved through the path table or the EID table. Re-steering thousands of flows is one
// `set_path`; a moved EID is one `set_mappings`.
//
// A flow's first packet that needs a decision is held by the switch under a `hold_id` and raised as one `packet_in`.
// The agent answers with exactly one of
//   set_path (unless the switch has it) + install_flow{.hold}   entries for both directions, then what is held goes out
//   refuse{.hold}                                               what is held is dropped under a reason or goes by EID
//   set_path, for packet_in_reason::path_miss                   the flows of that path install themselves
// and if it does not, the hold ends by itself after the switch's `hold_timeout`. While a flow is held, further packets
// of it are held behind the first, within bounds; they raise nothing. A late or repeated answer does no harm.
//
// Threading: one agent thread at a time calls submit, poll, arm and empty. The same interface is meant for a switch on
// the other side of a network (OpenFlow 1.3), hence no pointers into the switch and no answers other than events.

#include "base/expected.hpp"
#include "base/net.hpp"
#include "dataplane/classify/classifier.hpp"
#include "dataplane/switch/eid_table.hpp"
#include "dataplane/switch/path_program.hpp"
#include "dataplane/switch/port_config.hpp"
#include "dataplane/switch/trace_record.hpp"
#include "dataplane/wire/drop_reason.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace glocal::dataplane {

struct counters;

/// What `rule::action` says (dataplane/classify/rule.hpp); other values count as `decide`.
enum class rule_action : std::uint32_t {
  /// Raise packet_in_reason::rule.
  decide,
  /// A mirrored rule: raise packet_in_reason::reply_rule.
  reply,
  /// Drop as policy_drop.
  drop,
  /// Route by destination EID as if no rule had matched.
  pass
};

/// Names what a switch holds for one packet-in. 0 is no hold; values are not used again.
using hold_id = std::uint64_t;
inline constexpr hold_id no_hold = 0;

// --- Commands, agent → switch. Executed in the order submitted.
// -------------------------------------------------------

/// A new port, or (same id) a new description of one. On an lcore this opens `port.device`.
struct add_port {
  port_config port;
};

/// The port is closed; flows that entered by it end as `evicted`.
struct remove_port {
  port_id id = no_port;
};

/// The rules of all services of this edge, mirrored *reply* rules included. Flows in the table keep their treatment.
struct set_classifier {
  classifier_ptr rules;
};

/// All EIDs this edge knows. Entries routed by EID follow at their next packet.
struct set_mappings {
  std::shared_ptr<const eid_table> table;
};

/// The RLOCs that may send to this edge: what comes from others is not decapsulated. Replaces the former set.
struct set_known_rlocs {
  std::vector<ip_address> rlocs;
};

/// A path, new or re-steered. Flows on it are programmed again at their next packet; what waits for it is released.
struct set_path {
  path_program path;
  /// Where what passes by it is counted; below max_path_accounts.
  std::uint16_t account = 0;
};

/// Flows on the path end as `evicted`.
struct remove_path {
  std::uint32_t id = 0;
};

/// A decided flow. The switch derives all entries this edge serves for it, in both directions, from the path (which it
/// must have) and the EID table; see dataplane/switch/flow_program.hpp.
struct install_flow {
  std::uint32_t tenant = 0;
  /// As the initiator's first packet has it.
  five_tuple forward{};
  std::uint32_t path = 0;
  /// The agent's own word for the flow; returned in flow_removed.
  std::uint64_t cookie = 0;
  /// True at the edge whose lease the flow hangs on: its end is reported. Flows that install themselves have no owner.
  bool owner = false;
  /// Without a packet in either direction for so long, the flow ends. 0: the switch's default.
  std::chrono::nanoseconds idle_timeout{0};
  /// The flow ends so long after it was installed, whatever comes. 0: never.
  std::chrono::nanoseconds hard_timeout{0};
  /// What to release, in order, once the entries are there.
  hold_id hold = no_hold;
};

/// The answer when there is no chain for what is held.
struct refuse {
  enum class verdict : std::uint8_t {
    /// Drop under `reason`; so are further packets of the flow for the switch's `refusal_linger`.
    drop,
    /// Route by destination EID as traffic of no service.
    pass
  };
  hold_id hold = no_hold;
  verdict answer = verdict::drop;
  drop_reason reason = drop_reason::decision_refused;
};

/// Ends a flow (its entries in both directions). Reported as `commanded` if owned.
struct remove_flow {
  std::uint32_t tenant = 0;
  /// Either direction.
  five_tuple tuple{};
};

/// Traces packets from now on, in place of what was traced before. What is seen of them is read by poll_traces().
struct start_trace {
  trace_session session;
};

/// Packets under way are followed to their end.
struct stop_trace {};

/// Longest simulated packet.
inline constexpr std::size_t max_probe_bytes = 512;

/// Says what would become of `frame` if it came by `port` now, as the records of a packet traced under `id`; the last
/// is probe_ended. Nothing is sent, held, counted or changed. The frame's destination MAC address is filled in.
struct probe {
  trace_id id = 0;
  port_id port = no_port;
  std::vector<std::byte> frame;
};

using command = std::variant<std::monostate, add_port, remove_port, set_classifier, set_mappings, set_known_rlocs,
                             set_path, remove_path, install_flow, refuse, remove_flow, start_trace, stop_trace, probe>;

// --- Events, switch → agent. Plain records.
// ---------------------------------------------------------------------------

enum class packet_in_reason : std::uint8_t {
  /// A service's rule matched: decide.
  rule,
  /// A mirrored rule matched, in the direction of replies: look the flow up, never decide.
  reply_rule,
  /// A known RLOC sent a packet on a path that is not in the path table: resolve `spi`.
  path_miss,
  /// A VNF emitted a packet of no flow of this edge: look the flow up, never decide.
  vnf_miss
};

struct packet_in {
  packet_in_reason reason = packet_in_reason::rule;
  /// Service index of a path_miss.
  std::uint8_t si = 0;
  /// no_port when it came over the overlay.
  port_id in_port = no_port;
  std::uint32_t tenant = 0;
  /// As the packet has it.
  five_tuple tuple{};
  /// Service path identifier of a path_miss.
  std::uint32_t spi = 0;
  /// The cookie of the rule that matched.
  std::uint64_t rule_cookie = 0;
  hold_id hold = no_hold;
  /// When the switch received the packet; CLOCK_MONOTONIC, nanoseconds.
  std::uint64_t received_ns = 0;
  /// Of a packet that is traced; else 0.
  trace_id trace = 0;
};

enum class removal : std::uint8_t { idle, closed, evicted, commanded, hard };
inline constexpr std::size_t removal_count = 5;

[[nodiscard]] constexpr std::string_view to_string(removal why) noexcept {
  constexpr std::array<std::string_view, removal_count> names{"idle", "closed", "evicted", "commanded", "hard"};
  return names[static_cast<std::size_t>(why)];
}

/// An owned flow ended.
struct flow_removed {
  std::uint32_t tenant = 0;
  five_tuple forward{};
  std::uint64_t cookie = 0;
  /// Both directions, as this edge saw them.
  std::uint64_t packets = 0, bytes = 0;
  removal why = removal::idle;
};

using event = std::variant<packet_in, flow_removed>;
static_assert(std::is_trivially_copyable_v<event>);

// --- The border
// ---------------------------------------------------------------------------------------------------------

enum class submit_error : std::uint8_t {
  /// The switch is behind; try again later. The command is untouched.
  busy,
  /// A value out of its documented bounds.
  invalid,
  /// add_port: the device could not be opened; the switch's log says why.
  no_device
};

class southbound {
public:
  virtual ~southbound() = default;

  /// Queues `order`; it is moved from only on success. Allocation and freeing happen here, on the agent's side.
  [[nodiscard]] virtual expected<void, submit_error> submit(command&& order) = 0;

  /// Takes up to `out.size()` events, oldest first. @return how many were written to the front of `out`.
  [[nodiscard]] virtual std::size_t poll(std::span<event> out) = 0;

  /// The same for what became of traced packets. A switch that can't trace has nothing to say.
  [[nodiscard]] virtual std::size_t poll_traces(std::span<trace_record> /*out*/) { return 0; }

  /// From now on the next event or trace record calls the wake function given at construction, once, on the switch's
  /// thread. Check `empty()` again afterwards, as with spsc_ring.
  virtual void arm() = 0;
  [[nodiscard]] virtual bool empty() const = 0;

  /// Any thread.
  [[nodiscard]] virtual const counters& statistics() const = 0;
};

} // namespace glocal::dataplane
