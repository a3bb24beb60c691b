#include "store/watch_hub.hpp"

#include <algorithm>
#include <utility>

namespace glocal::store {
namespace {

std::size_t footprint(const watch_record& record) noexcept {
  return sizeof record + record.entry.key.size() + record.entry.value.size();
}

entry only_table(table of) {
  entry out;
  out.table = of;
  return out;
}

} // namespace

watch_hub::watch_hub(slot_id slot, const slot_options& options, revision floor)
    : slot_{slot}, options_{options}, floor_{floor} {}

publish_action watch_hub::subscribe(const subscribe_event& event, const slot_table& state, revision at,
                                    revision newest) {
  const auto& added =
      subscriptions_.insert_or_assign(event.subscription, subscription{event.of, event.prefix, event.from.value_or(0)})
          .first->second;
  const bool resumes = event.from && !is_volatile(event.of) && *event.from >= floor_ && *event.from <= newest;
  if (!resumes)
    return snapshot(event.subscription, added, state, at, event.from.has_value());
  publish_action first{{event.subscription}, {}};
  for (const auto& record : history_)
    if (record.at > *event.from && record.entry.table == event.of && record.entry.key.starts_with(event.prefix))
      first.records.push_back(record);
  // A replica that lags behind what the watcher has seen will tell it old records again; those it ignores.
  first.records.push_back({watch_record::kind::resumed, slot_, std::max(at, *event.from), only_table(event.of)});
  return first;
}

publish_action watch_hub::snapshot(subscription_id id, const subscription& of, const slot_table& state, revision at,
                                   bool compacted) const {
  publish_action out{{id}, {}};
  if (compacted)
    out.records.push_back({watch_record::kind::compacted, slot_, floor_, only_table(of.of)});
  const auto& rows = state.rows(of.of);
  for (auto row = rows.lower_bound(of.prefix); row != rows.end() && row->first.starts_with(of.prefix); ++row)
    out.records.push_back({watch_record::kind::snapshot_entry, slot_, row->second.version, row->second});
  out.records.push_back({watch_record::kind::snapshot_end, slot_, at, only_table(of.of)});
  return out;
}

std::vector<publish_action> watch_hub::reset(const slot_table& state) {
  history_.clear();
  history_bytes_ = 0;
  floor_ = state.index();
  std::vector<publish_action> out;
  for (const auto& [id, of] : subscriptions_)
    if (of.from <= state.index())
      out.push_back(snapshot(id, of, state, state.index(), true));
  return out;
}

std::vector<publish_action> watch_hub::publish(std::vector<watch_record> records) {
  std::vector<publish_action> out;
  publish_action run;
  bool run_is_volatile = false;
  const auto flush = [&] {
    if (!run.records.empty() && !run.subscriptions.empty())
      out.push_back(std::exchange(run, {}));
    run = {};
  };
  for (auto& record : records) {
    remember(record);
    std::vector<subscription_id> interested;
    for (const auto& [id, subscribed] : subscriptions_)
      if (subscribed.of == record.entry.table && record.entry.key.starts_with(subscribed.prefix))
        interested.push_back(id);
    if (interested != run.subscriptions || is_volatile(record.entry.table) != run_is_volatile) {
      flush();
      run.subscriptions = std::move(interested);
      run_is_volatile = is_volatile(record.entry.table);
    }
    if (!run.subscriptions.empty())
      run.records.push_back(std::move(record));
  }
  flush();
  return out;
}

void watch_hub::remember(const watch_record& record) {
  if (is_volatile(record.entry.table))
    return;
  history_bytes_ += footprint(record);
  history_.push_back(record);
  while (history_.size() > options_.history_changes || history_bytes_ > options_.history_bytes) {
    history_bytes_ -= footprint(history_.front());
    floor_ = history_.front().at;
    history_.pop_front();
  }
}

} // namespace glocal::store
