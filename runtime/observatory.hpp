#pragma once
// The records of all actors of one actor system, for the inspector, `glocal actors` and the tests.
//
// Threading: everything here is thread-safe. Actors write their own cell with relaxed atomics; a snapshot is a recent,
// possibly torn-between-counters state, which is what a monitor wants. Free of CAF, so that anyone may include it.

#include "base/histogram.hpp"
#include "runtime/dead_letters.hpp"
#include "runtime/tracer.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace glocal::runtime {

/// What an actor says about itself, in its own order: {"flows", "17"}.
using state_entries = std::vector<std::pair<std::string, std::string>>;

/// One actor at one moment.
struct actor_record {
  std::uint64_t id = 0;
  /// Actor that spawned it; 0 is the node itself.
  std::uint64_t parent = 0;
  std::string node, kind, name;
  std::uint64_t mailbox_depth = 0, mailbox_peak = 0;
  /// The oldest message that is not handled yet has been there for at least this long; 0 for an empty mailbox. Exact
  /// (to 4 ms) for what came to an idle actor, else the time since the actor last finished a message: an actor that is
  /// stuck shows all of it, one that keeps up with a long queue does not.
  std::chrono::steady_clock::duration oldest_wait{};
  /// `messages_out` counts what was sent to observed actors while handling a message.
  std::uint64_t messages_in = 0, messages_out = 0;
  /// A second, between the last two calls of observatory::sample(); nothing for an actor that is newer.
  std::optional<double> in_rate, out_rate;
  /// Messages no handler matched: dropped, and counted here.
  std::uint64_t unhandled = 0;
  /// Nanoseconds from taking a message to having handled it. Of an actor's first 1,000 messages and, while they take
  /// 8 us or more, of all; else of one in eight, drawn at random and counted for eight (observed.cpp).
  std::uint64_t handling_p50 = 0, handling_p99 = 0, handling_max = 0;
  std::string last_error;
  std::uint32_t restarts = 0;
  std::chrono::steady_clock::duration age{};
  /// As of the last refresh that found the actor had handled something; `state_age` is negative while there was none.
  state_entries state;
  std::chrono::steady_clock::duration state_age{-1};
};

/// What can be asked of any actor from outside.
enum class actor_order {
  /// To renew its state summary.
  summarise,
  /// To end at once with caf::exit_reason::kill, as if it had failed.
  end
};

/// CLOCK_MONOTONIC, the steady clock, as of the last tick (up to 4 ms ago). Cost: 7 ns, a quarter of the exact one.
[[nodiscard]] std::chrono::steady_clock::time_point coarse_now() noexcept;

/// The live record of one actor. Written by the actor and its senders, read by the observatory.
struct actor_cell {
  std::uint64_t id = 0, parent = 0;
  std::string kind, name;
  std::chrono::steady_clock::time_point started;
  /// What is sent from now on reaches nobody.
  std::atomic<bool> ended{false};

  // Written by senders, each on its own thread; a cache line of their own.
  /// Messages that ever came to the mailbox.
  alignas(64) std::atomic<std::uint64_t> queued{0};
  std::atomic<std::uint64_t> peak{0};

  // Written by the actor alone, but for the first two.
  /// The traces that want its messages, a bit each (tracer.hpp).
  alignas(64) std::atomic<tracer::mask> traced{0};
  /// Summaries that were asked for and are not given yet.
  std::atomic<std::uint32_t> asked{0};
  std::atomic<std::uint64_t> in{0}, out{0}, summaries{0}, unhandled{0};
  /// When the mailbox became non-empty or a message was last done with, whichever is later.
  std::atomic<std::chrono::steady_clock::time_point> waiting_since{};
  histogram handling;

  // Rarely touched; under `mutex`.
  mutable std::mutex mutex;
  std::string last_error;
  state_entries state;
  std::chrono::steady_clock::time_point state_at{};
  /// `in` at that time.
  std::uint64_t state_in = 0;
  /// Without effect once the actor ended.
  std::function<void(actor_order)> ask;

  // Under the observatory's lock.
  std::uint64_t sampled_in = 0, sampled_out = 0;
  std::chrono::steady_clock::time_point sampled_at{};
  std::optional<double> in_rate, out_rate;

  /// Messages done with.
  [[nodiscard]] std::uint64_t done() const noexcept {
    return in.load(std::memory_order_relaxed) + summaries.load(std::memory_order_relaxed);
  }
  /// In the mailbox, the one being handled included.
  [[nodiscard]] std::uint64_t depth() const noexcept {
    const auto gone = done(), came = queued.load(std::memory_order_relaxed);
    return came > gone ? came - gone : 0;
  }
  void set_error(std::string what);
  void set_state(state_entries entries);
  /// Whether it may have something new to say: it has handled a message since its last summary, or is about to.
  [[nodiscard]] bool summary_is_old() const;
};

class observatory {
public:
  explicit observatory(std::string node) : node_{std::move(node)} {}
  observatory(const observatory&) = delete;
  observatory& operator=(const observatory&) = delete;

  /// All living actors, by id. Cost: about 2 us an actor.
  [[nodiscard]] std::vector<actor_record> snapshot() const;

  /// Asks the actors whose summary may be old to renew it, each in its own context, and waits until they have, at most
  /// for `patience`: the snapshot taken then has the news, except of actors that are busy or stuck, which is worth
  /// seeing. What idles is not asked: an actor's state is what its messages made it. Not from within an actor.
  void refresh(std::chrono::milliseconds patience = std::chrono::milliseconds{0}) const;

  /// Computes the rates that snapshots have from now on. Who calls it regularly, about once a second, decides over
  /// which time they are taken. Cost: about 0.1 us an actor.
  void sample();

  /// Makes the actor end as if it had failed; its supervisor, if it has one, starts it again. False when it is gone.
  bool kill(std::uint64_t id) const;

  /// An actor called `name` ended with `reason` and is started again: the new record goes on from the old one's count.
  void note_restart(const std::string& name, std::string reason);

  /// What passed the actors of a kind that have ended: with the living ones' numbers, counters that never go back.
  struct traffic {
    std::uint64_t messages_in = 0, messages_out = 0, unhandled = 0;
  };
  [[nodiscard]] std::map<std::string, traffic> ended() const;
  /// By name of the actor, whether it lives at this moment or not.
  [[nodiscard]] std::map<std::string, std::uint32_t> restarts() const;

  /// Messages to actors that have ended; those to names nobody has are counted by the directory.
  [[nodiscard]] dead_letters& letters() noexcept { return letters_; }
  [[nodiscard]] const dead_letters& letters() const noexcept { return letters_; }

  struct started_trace {
    std::uint64_t id = 0;
    /// Living actors it means; later ones of such a name or kind join.
    std::size_t actors = 0;
  };
  [[nodiscard]] expected<started_trace, trace_refusal> start_trace(const trace_request& request);
  [[nodiscard]] tracer& traces() noexcept { return traces_; }

  [[nodiscard]] const std::string& node() const noexcept { return node_; }

  // For observed<Base>.
  void enroll(const std::shared_ptr<actor_cell>& cell);
  void retire(std::uint64_t id);

private:
  struct past {
    std::uint32_t restarts = 0;
    std::string last_error;
  };

  const std::string node_;
  mutable std::mutex mutex_;
  std::map<std::uint64_t, std::shared_ptr<actor_cell>> cells_;
  // Only of supervised actors that failed, so it is bounded by the child specs.
  std::unordered_map<std::string, past> history_;
  // By kind, of which there are as many as classes of actors.
  std::map<std::string, traffic> ended_;
  dead_letters letters_;
  tracer traces_;
};

} // namespace glocal::runtime
