#pragma once
// The actor's half of the lcore→actor border: an lcore fills a ring and wakes the actor only when it sleeps.
//
//   [this](runtime::wake_atom) {
//     runtime::drain_ring(this, southbound_, scratch_, [this](std::span<packet_in> batch) { … });
//   }
//
// The lcore: push a burst, then `if (ring.disarm()) caf::anon_send(actor, wake_atom_v)`, which costs it microseconds
// and therefore happens once per sleep of the actor. No wake-up is lost: arming comes before the last look at the ring.

#include "runtime/atoms.hpp"

#include <concepts>
#include <cstddef>
#include <ranges>
#include <span>

namespace glocal::runtime {

/// What `drain_ring` needs of a ring's consumer end. `poll` moves at most out.size() records to `out` and says how
/// many.
template <class Source, class Record>
concept drainable = requires(Source source, std::span<Record> out) {
  { source.poll(out) } -> std::convertible_to<std::size_t>;
  { source.empty() } -> std::convertible_to<bool>;
  source.arm();
};

/// Records handled before other actors of the worker get their turn.
inline constexpr std::size_t drain_budget = 1024;

/// Handles what waits in `source`, in batches of at most scratch.size(), and goes back to sleep; with more than the
/// budget waiting it wakes `self` again instead. REQUIRES: runs in the context of `self`; scratch is not empty.
/// @param scratch a vector or array of records, reused from call to call.
/// @param handle_batch called with a std::span of the records.
/// @return records handled.
template <class Self, class Source, std::ranges::contiguous_range Scratch, class Handler>
requires drainable<Source, std::ranges::range_value_t<Scratch>> std::size_t
drain_ring(Self* self, Source& source, Scratch& scratch, Handler&& handle_batch) {
  const std::span records{scratch};
  std::size_t handled = 0;
  while (handled < drain_budget) {
    const std::size_t count = source.poll(records);
    if (count == 0) {
      source.arm();
      // What was pushed between the last poll and arming found nobody to wake.
      if (source.empty())
        return handled;
      continue;
    }
    handle_batch(records.first(count));
    handled += count;
  }
  self->send(self, wake_atom_v);
  return handled;
}

} // namespace glocal::runtime
