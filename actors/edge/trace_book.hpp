#pragma once
// What one node knows of traced packets: the steps of its switch and of the actors that answered for them, in the order
// they were written down, until somebody reads them.
//
// Bounded: the oldest steps give way, and a reader is told how many it missed. Steps of packets whose trace began at
// another edge are here as well; nobody has to have asked for them at this one.
// Threading: thread-safe. Actors write, the node's API reads.

#include "actors/edge/chain_chooser.hpp"
#include "dataplane/switch/trace_record.hpp"
#include "store/types.hpp"

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace glocal::actors {

struct trace_field {
  std::string name;
  std::variant<std::string, std::uint64_t, double, bool> value;
};

/// The candidates of one class of the chain, and how old what is said of them was.
struct trace_choice {
  std::string vnf_class;
  /// Of the class's digest in the store.
  store::revision version = 0;
  /// Since this edge got it. Digests are published when they change, at most about once a second.
  double age_s = 0;
  /// The edge's watch is silent: there may be a newer one.
  bool is_suspect = false;
  std::vector<weighed_candidate> candidates;
};

/// One step of one packet.
struct trace_entry {
  dataplane::trace_id trace = 0;
  /// CLOCK_MONOTONIC of the node that wrote it, nanoseconds; 0 for what was only foretold.
  std::uint64_t at_ns = 0;
  /// The node, and who there: "lcore", "switch", "service/web".
  std::string node, who;
  /// "received", "hit", "decided", …: docs/trace.md.
  std::string what;
  std::vector<trace_field> fields;
  std::vector<trace_choice> choices;

  /// The value of the field, as text; empty if there is none.
  [[nodiscard]] std::string text(std::string_view field) const;
};

class trace_book {
public:
  /// Some hundred packets over a chain; about 500 bytes each.
  static constexpr std::size_t max_entries = 8192;

  void add(trace_entry entry);

  struct page {
    std::vector<trace_entry> entries;
    /// Give it back for what comes after these.
    std::uint64_t next = 0;
    /// Entries that had given way before they could be read.
    std::uint64_t missed = 0;
  };
  /// @param after `next` of an earlier page; 0: from the oldest there is.
  [[nodiscard]] page read(std::uint64_t after, std::size_t most) const;
  /// Where a reader begins who wants only what is written from now on.
  [[nodiscard]] std::uint64_t end() const;

  /// The trace that was started here last.
  struct session {
    std::uint64_t id = 0;
    bool is_running = false;
    /// "limit reached", "time over", "stopped", "its reader went away".
    std::string ended_because;
    /// CLOCK_MONOTONIC, nanoseconds.
    std::uint64_t until_ns = 0, read_at_ns = 0;
  };
  [[nodiscard]] session last_session() const;
  void begin_session(const session& begun);
  /// The first reason counts.
  void end_session(std::uint64_t id, std::string_view because);
  /// Somebody reads it: a trace whose reader goes away is ended.
  void note_reader(std::uint64_t id, std::uint64_t now_ns);

private:
  mutable std::mutex mutex_;
  std::deque<trace_entry> entries_;
  /// Of entries_.front(), counted from 1.
  std::uint64_t first_ = 1;
  session session_;
};

} // namespace glocal::actors
