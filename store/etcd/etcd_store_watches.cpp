// The watches of an etcd_store: a snapshot of each, and one stream for all of them from there on.

#include "store/etcd/etcd_store_parts.hpp"

#include <algorithm>

namespace glocal::store {

using kind = enum watch_event::kind;

namespace {

/// A stream that has brought so many and has not begun all its watches never will: the gateway begins to answer the
/// first of a body's requests, and what it has not read of the body by then may be lost to it (net/http of Go says so).
constexpr std::size_t heartbeats_to_begin = 4;
constexpr std::uint64_t ticks_to_live = 2;

} // namespace

struct etcd_store::open_watch {
  enum class phase {
    /// A snapshot is under way, or is to be tried again.
    snapshot,
    snapshot_due,
    /// It is in the stream.
    joined,
    /// It was told that it can't go on.
    ended
  };

  watch_id id = 0;
  table of{};
  std::string prefix;
  events_callback on_events;
  phase state = phase::snapshot_due;
  /// What the stream is to begin with.
  revision from = 0;
  /// It began at a given revision: what it knows is not known here.
  bool given = false;
  /// Watched key → its version, as told.
  std::map<std::string, revision> known;
  /// As it was told.
  bool live = false;
  /// Of joined ones that are not live: they are when the stream has come so far, some ticks after this one.
  std::optional<revision> live_at;
  std::uint64_t begun_at_tick = 0;
};

/// What of a snapshot is there.
struct etcd_store::snapshot_page {
  etcd::range_of_rows next;
  range_outcome got;
  /// Keys that were named.
  std::map<std::string, revision> named;
};

watch_id etcd_store::watch(table of, std::string prefix, watch_callback on_event) {
  return watch(
      of, std::move(prefix), 0,
      [this, self = shared_, id = next_watch_, on_event = std::move(on_event)](const std::vector<watch_event>& events) {
        for (const auto& event : events)
          if (self->alive && watches_.contains(id)) // it may end itself
            on_event(event);
      });
}

watch_id etcd_store::watch(table of, std::string prefix, revision from, events_callback on_events) {
  const auto id = next_watch_++;
  auto added = std::make_shared<open_watch>();
  added->id = id;
  added->of = of;
  added->prefix = std::move(prefix);
  added->on_events = std::move(on_events);
  watches_.emplace(id, added);
  if (from == 0) {
    take_snapshot(id);
  } else {
    added->given = true;
    added->from = from;
    join(*added);
  }
  return id;
}

void etcd_store::unwatch(watch_id id) {
  watches_.erase(id);
  const std::lock_guard lock{shared_->mutex};
  // The stream goes on to tell of it until it is opened anew; nobody listens.
  shared_->joined.erase(id);
  shared_->awaited.erase(id);
}

std::size_t etcd_store::watches_not_live() const {
  return static_cast<std::size_t>(std::ranges::count_if(watches_, [](const auto& each) { return !each.second->live; }));
}

void etcd_store::take_snapshot(watch_id id) {
  const auto& watch = *watches_.at(id);
  auto page = std::make_shared<snapshot_page>();
  page->next = {watch.of, watch.prefix, {}, first_range, 0};
  on_page(id, page);
}

/// Asks for the next page.
void etcd_store::on_page(watch_id id, const std::shared_ptr<snapshot_page>& page) {
  watches_.at(id)->state = open_watch::phase::snapshot;
  ask_range(
      shared_->client, shared_->space, page->next, settings_.deadline,
      [self = shared_](std::uint64_t cluster) { return self->is_ours(cluster); },
      [this, self = shared_, id, page](range_outcome got) {
        page->got = std::move(got);
        shared::run(self, [this, id, page] {
          const auto at = watches_.find(id);
          if (at == watches_.end())
            return;
          auto& watch = *at->second;
          auto& got = page->got;
          answers_ = got.found || got.is_refused || got.is_too_large;
          if (got.is_too_large && page->next.limit > 1) {
            page->next.limit = std::max<std::size_t>(page->next.limit / 4, 1);
            return on_page(id, page);
          }
          if (!got.found) { // also when its revision was compacted before it was whole: from the beginning
            watch.state = open_watch::phase::snapshot_due;
            return;
          }
          page->next.at = page->next.at == 0 ? got.found->at : page->next.at;
          std::vector<watch_event> events;
          std::size_t bytes = 0;
          for (auto& row : got.found->rows) {
            bytes += payload_bytes(row);
            page->next.after = row.key;
            page->named.emplace(row.key, row.version);
            auto& told = watch.known[row.key];
            if (std::exchange(told, row.version) == row.version)
              continue;
            const auto version = row.version;
            events.push_back({kind::put, std::move(row), 0, version});
          }
          deliver(watch, std::move(events));
          if (!watches_.contains(id)) // it ended itself
            return;
          if (got.found->more) {
            page->next.limit = next_range(got.found->rows.size(), bytes);
            return on_page(id, page);
          }
          // Of an earlier snapshot, or told since.
          std::vector<watch_event> gone;
          for (auto known = watch.known.begin(); known != watch.known.end();) {
            if (page->named.contains(known->first)) {
              ++known;
              continue;
            }
            gone.push_back({kind::erase, {watch.of, known->first, {}, page->next.at, 0}, 0, page->next.at});
            known = watch.known.erase(known);
          }
          deliver(watch, std::move(gone));
          if (!watches_.contains(id))
            return;
          watch.from = page->next.at + 1;
          join(watch);
        });
      });
}

void etcd_store::join(open_watch& watch) {
  watch.state = open_watch::phase::joined;
  {
    const std::lock_guard lock{shared_->mutex};
    shared_->joined[watch.id] = {watch.id, watch.of, watch.prefix, watch.from};
  }
  heard_ = now_;
  if (shared_->stream != 0)
    return shared_->client->restart(shared_->stream, false);
  const auto on_line = [this, self = shared_](std::string_view line) {
    auto heard = etcd::decode_changes(line);
    if (!heard || !self->is_ours(heard->cluster))
      return false;
    auto& what = heard->value;
    if (what.id == etcd::heartbeat_watch) {
      shared::run(self, [this, at = what.at] { hear_heartbeat(at); });
      const std::lock_guard lock{self->mutex};
      return !what.canceled && (self->awaited.empty() || ++self->heartbeats < heartbeats_to_begin);
    }
    std::vector<watch_event> events;
    {
      const std::lock_guard lock{self->mutex};
      const auto watched = self->joined.find(what.id);
      if (watched == self->joined.end())
        return true;
      // The rest of a revision that comes in fragments is told with it again, if the stream breaks off between.
      if (!what.changes.empty())
        watched->second.from = what.changes.back().at + (what.fragment ? 0 : 1);
      for (auto& change : what.changes)
        if (auto event = etcd::event_of(std::move(change), self->space, watched->second))
          events.push_back(std::move(*event));
      if (what.created)
        self->awaited.erase(what.id);
      if (what.canceled)
        self->joined.erase(watched);
    }
    shared::run(self, [this, id = what.id, at = what.at, created = what.created, canceled = what.canceled,
                       events = std::move(events)]() mutable {
      if (!events.empty())
        hear(id, std::move(events));
      if (canceled)
        hear_canceled(id);
      else if (created)
        hear_created(id, at);
    });
    return true;
  };
  shared_->stream = shared_->client->stream(
      "/v3/watch",
      [self = shared_] {
        std::vector<etcd::watched_rows> all;
        const std::lock_guard lock{self->mutex};
        self->awaited.clear();
        self->heartbeats = 0;
        for (const auto& [id, watched] : self->joined) {
          all.push_back(watched);
          self->awaited.insert(id);
        }
        return etcd::watch_requests(self->space, all);
      },
      on_line);
}

void etcd_store::hear(watch_id id, std::vector<watch_event> events) {
  heard_ = now_;
  const auto at = watches_.find(id);
  if (at == watches_.end())
    return;
  auto& watch = *at->second;
  const auto last = events.back().at;
  watch.from = std::max(watch.from, last + 1);
  if (!watch.given)
    for (const auto& event : events) {
      if (event.what == kind::put)
        watch.known[event.entry.key] = event.at;
      else
        watch.known.erase(event.entry.key);
    }
  counters_.watch_events += events.size();
  const auto held = at->second; // it may end itself
  held->on_events(std::move(events));
  if (watches_.contains(id) && held->live_at && last >= *held->live_at)
    become_live(*held);
}

void etcd_store::hear_created(watch_id id, revision now_at) {
  heard_ = now_;
  const auto at = watches_.find(id);
  if (at == watches_.end() || at->second->state != open_watch::phase::joined)
    return;
  auto& watch = *at->second;
  if (watch.live)
    return;
  if (now_at < watch.from)
    return become_live(watch);
  watch.live_at = now_at;
  watch.begun_at_tick = ticks_;
}

void etcd_store::hear_heartbeat(revision at) {
  heard_ = now_;
  // One that began with a backlog is told of it by another part of etcd, within some tenths of a second: whole ticks.
  for (const auto id : [&] {
         std::vector<watch_id> ready;
         for (const auto& [each, watch] : watches_)
           if (watch->live_at && at >= *watch->live_at && ticks_ >= watch->begun_at_tick + ticks_to_live)
             ready.push_back(each);
         return ready;
       }())
    if (const auto watch = watches_.find(id); watch != watches_.end())
      become_live(*watch->second);
}

/// Etcd no longer has what followed.
void etcd_store::hear_canceled(watch_id id) {
  const auto at = watches_.find(id);
  if (at == watches_.end())
    return;
  auto& watch = *at->second;
  watch.live_at.reset();
  watch.live = false;
  const auto held = at->second; // it may end itself
  if (watch.given) {
    watch.state = open_watch::phase::ended;
    return held->on_events({{.what = kind::compacted, .at = watch.from}});
  }
  watch.state = open_watch::phase::snapshot_due;
  ++counters_.resyncs;
  held->on_events({{.what = kind::resync}});
  if (watches_.contains(id))
    take_snapshot(id);
}

void etcd_store::become_live(open_watch& watch) {
  watch.live = true;
  watch.live_at.reset();
  const auto held = watches_.at(watch.id);
  held->on_events({{.what = kind::live, .positions = {{0, watch.from - 1}}}});
}

void etcd_store::deliver(const open_watch& watch, std::vector<watch_event> events) {
  if (events.empty())
    return;
  counters_.watch_events += events.size();
  const auto held = watches_.at(watch.id);
  held->on_events(std::move(events));
}

void etcd_store::tick(timestamp now) {
  now_ = now;
  ++ticks_;
  if (heard_ == timestamp{})
    heard_ = now;
  if (!settings_.heartbeat_as.empty())
    shared_->client->ask("/v3/kv/put", etcd::put_heartbeat_request(shared_->space, settings_.heartbeat_as),
                         std::chrono::milliseconds{1000}, true, [this, self = shared_](const etcd_client::reply& got) {
                           shared::run(self, [this, answers = got.status == 200] { answers_ = answers; });
                           return true;
                         });
  std::vector<watch_id> due, doubtful;
  const bool is_silent = shared_->stream != 0 && now - heard_ > settings_.silence_limit;
  for (const auto& [id, watch] : watches_) {
    if (watch->state == open_watch::phase::snapshot_due)
      due.push_back(id);
    if (is_silent && watch->live)
      doubtful.push_back(id);
  }
  if (is_silent) {
    shared_->client->restart(shared_->stream, true);
    heard_ = now; // the next endpoint has as long
  }
  for (const auto id : due)
    take_snapshot(id);
  for (const auto id : doubtful)
    if (const auto at = watches_.find(id); at != watches_.end()) {
      const auto held = at->second;
      held->live = false;
      ++counters_.suspects;
      held->on_events({{.what = kind::suspect}});
    }
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane)
    fail_late(lane);
}

} // namespace glocal::store
