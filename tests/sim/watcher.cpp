#include "tests/sim/watcher.hpp"

namespace glocal::sim {

void watcher::run() {
  auto& world = reach_.world;
  if (at_node_)
    reach_.nodes[*at_node_]->unsubscribe(number_ << 32 | stream_);
  const auto target = world.rolls.below(reach_.nodes.size());
  at_node_ = target;
  snapshot_.clear();
  const auto mine = ++stream_;
  // Streams are connections: their records arrive in order, and none any more once the stream was left.
  reach_.nodes[target]->subscribe(number_ << 32 | mine, of_, prefix_, seen_,
                                  [this, mine, &world](const std::vector<store::watch_record>& records) {
                                    world.time.after(duration{700}, [this, mine, records] {
                                      if (mine == stream_)
                                        deliver(records);
                                    });
                                  });
  world.time.after(world.rolls.between(duration{300'000}, duration{2'500'000}), [this] { run(); });
}

void watcher::deliver(const std::vector<store::watch_record>& records) {
  for (const auto& record : records)
    deliver(record);
}

void watcher::deliver(const store::watch_record& record) {
  auto& must = reach_.world.must;
  using kind = store::watch_record::kind;
  switch (record.what) {
  case kind::put:
  case kind::erase:
    if (!seen_)
      return must.violation("a watcher was told of a change before its snapshot");
    if (record.at <= *seen_)
      return; // told again
    must.watched(of_, prefix_, *seen_, record);
    seen_ = record.at;
    if (record.what == kind::put)
      copy_[record.entry.key] = record.at;
    else
      copy_.erase(record.entry.key);
    return;
  case kind::snapshot_entry: snapshot_[record.entry.key] = record.entry.version; return;
  case kind::snapshot_end:
    must.snapshot(of_, prefix_, record.at, snapshot_);
    if (seen_ && record.at < *seen_)
      must.violation("a watcher's snapshot takes it back from revision " + std::to_string(*seen_) + " to " +
                     std::to_string(record.at));
    seen_ = record.at;
    copy_ = std::exchange(snapshot_, {});
    return;
  case kind::resumed:
    if (record.at < *seen_)
      must.violation("a watcher resumes before what it has seen");
    seen_ = std::max(*seen_, record.at);
    // What was not told up to here must not have been.
    return must.snapshot(of_, prefix_, *seen_, copy_);
  case kind::compacted: return;
  }
}

} // namespace glocal::sim
