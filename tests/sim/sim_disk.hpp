#pragma once
// A node's disk as a slot sees it: ordered writes, one sync for all that arrived meanwhile; a crash leaves what was
// synced and any prefix of the rest, the last write perhaps in part (a torn tail). Outlives the node's process.

#include "store/replica_events.hpp"
#include "tests/sim/scheduler.hpp"

#include <algorithm>
#include <deque>
#include <memory>
#include <variant>
#include <vector>

namespace glocal::sim {

class sim_disk {
public:
  /// The state of a slot is flushed without the log (what RocksDB behind it does in its own time).
  struct flush {
    std::shared_ptr<const store::snapshot> state;
  };
  using write = std::variant<store::write_action, store::install_action, flush>;

  sim_disk(scheduler& time, dice& rolls) : time_{time}, rolls_{rolls} {}

  /// @param done called when it is durable, or with false when the disk refuses it.
  void submit(write what, std::function<void(bool)> done) {
    refusing_ |= broken || full;
    if (refusing_)
      return time_.after(duration{500}, [done = std::move(done)] { done(false); });
    queue_.push_back({std::move(what), std::move(done)});
    sync();
  }

  /// Power is lost: of what was not synced any prefix has reached the disk.
  void crash() {
    ++life_;
    auto survive = rolls_.below(queue_.size() + 1);
    for (; survive > 0; --survive, queue_.pop_front())
      apply(queue_.front().what, durable_);
    if (!queue_.empty())
      if (auto* torn = std::get_if<store::write_action>(&queue_.front().what)) {
        torn->entries.resize(rolls_.below(torn->entries.size() + 1));
        apply(*torn, durable_);
      }
    queue_.clear();
    syncing_ = refusing_ = false;
  }
  void wipe() {
    lost_.push_back(durable_); // not what a crash might have left of the rest: nobody was promised that
    crash();
    durable_ = {};
    ++incarnation;
  }

  [[nodiscard]] const store::recovered_slot& durable() const noexcept { return durable_; }
  /// It is durable here, or was on a disk of this node that was lost since (docs/simulation.md, "What an acknowledged
  /// write survives").
  [[nodiscard]] bool held(const store::log_position& at) const {
    const auto in = [&](const store::recovered_slot& contents) {
      const auto offset = at.index - contents.state.at.index - 1;
      return at.index <= contents.state.at.index || (offset < contents.log.size() && contents.log[offset]->at == at);
    };
    return in(durable_) || std::any_of(lost_.begin(), lost_.end(), in);
  }

  /// Which life this disk's contents are in: a wiped disk is another.
  std::uint64_t incarnation = 1;
  /// Refuses everything: until the process is started again / until there is room.
  bool broken = false, full = false;
  duration slowest{2000};

private:
  struct waiting {
    write what;
    std::function<void(bool)> done;
  };

  void sync() {
    if (syncing_ || queue_.empty())
      return;
    syncing_ = true;
    const auto group = queue_.size();
    time_.after(rolls_.between(duration{100}, slowest), [this, group, life = life_] {
      if (life != life_)
        return;
      syncing_ = false;
      // What follows a write that failed is worth nothing: recovery ends at the gap.
      const bool refuses = refusing_ |= broken || full;
      const auto ends = refuses ? queue_.size() : group;
      for (std::size_t i = 0; i < ends && life == life_; ++i) {
        auto first = std::move(queue_.front());
        queue_.pop_front();
        if (!refuses)
          apply(first.what, durable_);
        first.done(!refuses);
      }
      if (life == life_)
        sync();
    });
  }

  static void apply(const write& what, store::recovered_slot& to) {
    if (const auto* entries = std::get_if<store::write_action>(&what)) {
      if (entries->truncate_after)
        while (!to.log.empty() && to.log.back()->at.index > *entries->truncate_after)
          to.log.pop_back();
      for (const auto& entry : entries->entries)
        if (entry->at.index > to.state.at.index)
          to.log.push_back(entry);
    } else if (const auto* install = std::get_if<store::install_action>(&what)) {
      to = {*install->state, {}};
    } else if (const auto& state = *std::get<flush>(what).state; state.at.index > to.state.at.index) {
      std::erase_if(to.log, [&](const auto& entry) { return entry->at.index <= state.at.index; });
      to.state = state;
    }
  }

  scheduler& time_;
  dice& rolls_;
  store::recovered_slot durable_;
  std::vector<store::recovered_slot> lost_;
  std::deque<waiting> queue_;
  bool syncing_ = false;
  /// It has refused a write: it takes none until the process is started again, as store/segment_log does. Room that
  /// comes back before the process heard of it would else leave a gap.
  bool refusing_ = false;
  std::uint64_t life_ = 0;
};

} // namespace glocal::sim
