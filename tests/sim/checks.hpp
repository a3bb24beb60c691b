#pragma once
// What must hold at every moment of a run, whoever is looking. Sees all replicas at once, which no replica can.

#include "store/replica.hpp"
#include "tests/sim/dice.hpp"

#include <map>
#include <string>
#include <vector>

namespace glocal::sim {

class checks {
public:
  /// A replica has applied the entry at `at`; `hash` is of its state after it, 0 if nobody could look.
  /// True for the first replica that did.
  bool applied(const store::member& who, const store::apply_action& action, std::uint64_t hash);
  void primary(const store::member& who, store::epoch_number epoch);
  /// A write at `at` was acknowledged while `copies` disks had it.
  void acknowledged(const store::log_position& at, std::size_t copies, std::size_t min_isr);
  /// Delivered to a watcher that has seen everything of (`of`, `prefix`) up to `seen`.
  void watched(store::table of, const std::string& prefix, store::revision seen, const store::watch_record& record);
  /// A watcher was given this copy as of `at`.
  void snapshot(store::table of, const std::string& prefix, store::revision at,
                const std::map<std::string, store::revision>& versions);

  void violation(std::string what) {
    if (violations_.size() < 10)
      violations_.push_back(std::move(what));
  }
  void note(std::uint64_t value) { trace_ = (trace_ ^ value) * 0x100000001b3u; }

  [[nodiscard]] const std::vector<std::string>& violations() const noexcept { return violations_; }
  /// Of everything that happened, to compare runs.
  [[nodiscard]] std::uint64_t trace() const noexcept { return trace_; }
  [[nodiscard]] store::log_index last_index() const noexcept { return states_.empty() ? 0 : states_.rbegin()->first; }

private:
  struct state {
    store::epoch_number epoch = 0;
    store::revision revision = 0;
    std::uint64_t changes = 0, hash = 0;
    std::string by;
  };
  struct change {
    store::table of{};
    std::string key;
    bool put = false;
  };
  [[nodiscard]] bool matches(store::revision at, store::table of, const std::string& prefix) const {
    return at < changes_.size() && changes_[at].of == of && changes_[at].key.starts_with(prefix);
  }

  std::map<store::log_index, state> states_;
  std::map<store::epoch_number, store::member> primaries_;
  /// By revision; the first is none.
  std::vector<change> changes_{1};
  std::vector<std::string> violations_;
  std::uint64_t trace_ = 0xcbf29ce484222325u;
};

[[nodiscard]] std::string name(const store::member& who);
[[nodiscard]] std::string name(const store::log_position& at);
/// Of rows and leases. Cost: O(entries).
[[nodiscard]] std::uint64_t hash_of(const store::slot_table& state);

} // namespace glocal::sim
