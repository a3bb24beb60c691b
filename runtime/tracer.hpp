#pragma once
// Live views of the messages that actors handle: `glocal actors trace`.
//
//   auto id = observatory.start_trace({"edge/*/service/web", 100, 10s});
//   for (;;) { auto page = observatory.traces().read(*id); …; if (page->end) break; }
//
// A trace is bounded in number and time, and ends when nobody reads it any more, so nothing keeps counting for a reader
// that went. What a message says is never kept: a trace shows types, kinds and sizes.
//
// How it costs nothing when off: each actor's record has one bit per trace, and an actor looks at nothing else (one
// relaxed load and a branch a message). Bits are set when a trace starts; an actor clears those it finds over.
// Threading: thread-safe.

#include "base/expected.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace glocal::runtime {

/// What became of a message.
enum class message_outcome : std::uint8_t {
  handled,
  /// No handler matched it.
  unhandled,
  /// Its handler threw: the actor ended by it.
  failed
};
[[nodiscard]] std::string_view to_string(message_outcome what) noexcept;

struct traced_message {
  /// When its handling began.
  std::chrono::system_clock::time_point time{};
  std::string actor, actor_kind;
  /// Actor of this node, or `@NODE`; `-` for what comes from no actor (a timer, an lcore, a socket).
  std::string from;
  /// What it is made of: "wirereq", "program_flows"; never its content.
  std::string type;
  /// Of a message between nodes, with the size of its body; else nothing.
  std::optional<std::uint16_t> wire_kind;
  std::size_t wire_bytes = 0;
  std::chrono::nanoseconds handling{};
  message_outcome outcome = message_outcome::handled;
};

struct trace_request {
  /// Name or kind of the actors; `*` stands for any text.
  std::string match;
  std::size_t count = 100;
  std::chrono::milliseconds duration{10'000};
};

enum class trace_refusal {
  /// No actor has such a name or kind.
  nobody,
  /// `max_traces` run already.
  too_many
};

enum class trace_end { count, time };
[[nodiscard]] std::string_view to_string(trace_end why) noexcept;

/// What was traced since the last look.
struct trace_page {
  std::vector<traced_message> messages;
  /// In all: what the reader was too slow for.
  std::uint64_t dropped = 0;
  /// The limit that was reached; this page is the last one then.
  std::optional<trace_end> end;
};

/// Whether `text` is `pattern`, in which `*` stands for any text. Cost: at most the product of their lengths.
[[nodiscard]] bool matches_pattern(std::string_view pattern, std::string_view text) noexcept;

class tracer {
public:
  using clock = std::chrono::steady_clock;
  using mask = std::uint8_t;

  static constexpr std::size_t max_traces = 8; // the bits of mask
  static constexpr std::size_t max_count = 10'000;
  static constexpr std::chrono::milliseconds max_duration{600'000};
  /// Kept for a reader that looks every 100 ms; what comes faster is counted as dropped.
  static constexpr std::size_t max_waiting = 4096;
  /// A trace nobody read for this long is over.
  static constexpr std::chrono::milliseconds patience{5000};
  static constexpr std::size_t max_pattern_bytes = 256;

  tracer() = default;
  tracer(const tracer&) = delete;
  tracer& operator=(const tracer&) = delete;

  /// Bits of the traces that run and mean an actor of that name and kind.
  [[nodiscard]] mask meant(std::string_view name, std::string_view kind) const;
  /// Adds to the traces of `which` that still run; the bits of those that don't, for the caller to clear.
  [[nodiscard]] mask record(mask which, const traced_message& message);

  /// Nothing for a trace that is over, or never was.
  [[nodiscard]] std::optional<trace_page> read(std::uint64_t id);
  void stop(std::uint64_t id);

private:
  friend class observatory;

  struct trace {
    std::uint64_t id = 0;
    std::string match;
    std::size_t left = 0;
    clock::time_point deadline, last_read;
    std::uint64_t dropped = 0;
    std::vector<traced_message> waiting;

    [[nodiscard]] bool means(std::string_view name, std::string_view kind) const noexcept {
      return matches_pattern(match, name) || matches_pattern(match, kind);
    }
    [[nodiscard]] bool abandoned(clock::time_point now) const { return now - last_read > patience; }
    [[nodiscard]] bool over(clock::time_point now) const { return left == 0 || now >= deadline || abandoned(now); }
  };

  /// The place of a new trace; `too_many` when there is none. Bounds what `request` asks for.
  [[nodiscard]] expected<std::size_t, trace_refusal> begin(const trace_request& request);
  [[nodiscard]] std::uint64_t id_at(std::size_t place) const;

  mutable std::mutex mutex_;
  /// So that an actor that starts takes no lock before anything was ever traced.
  std::atomic<bool> any_{false};
  std::array<std::optional<trace>, max_traces> traces_;
  // An id is not to be guessed by mistake; JSON readers keep 53 bits.
  std::random_device random_;
};

} // namespace glocal::runtime
