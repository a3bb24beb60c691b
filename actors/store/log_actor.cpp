#include "actors/store/log_actor.hpp"

#include "base/hash.hpp"
#include "base/log.hpp"
#include "store/slot_recovery.hpp"

#include <caf/sec.hpp>

#include <set>
#include <thread>
#include <utility>

namespace glocal::actors {

namespace messages = store_messages;
using namespace std::chrono_literals;

namespace {

/// The store's life before this one, which was told to end, may still hold the files.
constexpr auto open_patience = 5s;
constexpr auto open_pause = 50ms;
/// The engine is not waited for longer: a second of it is a hundred megabytes.
constexpr std::chrono::milliseconds backlog_patience{1000};

} // namespace

log_actor::log_actor(caf::actor_config& config, store_storage storage, std::shared_ptr<const engine_backlog> backlog)
    : runtime::observed_actor{config, "store log", "store/log"}, storage_{std::move(storage)}, backlog_{std::move(
                                                                                                   backlog)} {}

caf::behavior log_actor::make_behavior() {
  return {
      [this](const messages::load_slots& wanted) { return load(wanted.slots); },
      [this](const messages::log_append& request) { append(request); },
      [this](const messages::log_release& request) {
        releases_.push_back(request);
        // Behind everything that is already in the mailbox: that is the group.
        if (!std::exchange(flush_pending_, true))
          send(this, flush_atom_v);
      },
      [this](flush_atom) {
        flush_pending_ = false;
        flush();
      },
  };
}

expected<std::unique_ptr<store::log_disk>, store::log_failure> log_actor::open_files() {
  for (auto waited = 0ms;; waited += open_pause) {
    auto files = storage_.open_log();
    if (files || !storage_.detached || waited >= open_patience)
      return files;
    std::this_thread::sleep_for(open_pause);
  }
}

caf::result<messages::loaded_slots> log_actor::load(const std::vector<store::slot_id>& wanted) {
  const auto refuse = [](const std::string& why) { return caf::make_error(caf::sec::runtime_error, why); };
  auto& engine = *storage_.engine;
  auto files = open_files();
  if (!files)
    return refuse(files.error().message);
  const auto names = (*files)->list();
  if (!names)
    return refuse(names.error().message);
  const auto known = engine.has_log();
  if (!known)
    return refuse(known.error().message);
  if (*known && names->empty())
    return refuse("this node's log is gone, and with it writes it had confirmed; wipe the node's directory, and it "
                  "gets its slots from the others");
  messages::loaded_slots out;
  out.incarnation = engine.incarnation();
  store::slot_recovery recovery;
  // A log beside another life of the engine is another's.
  auto log = store::segment_log::open(std::move(*files), hash_text(std::to_string(out.incarnation)), storage_.log,
                                      [&](const store::log_record& record) { recovery.add(record); });
  if (!log)
    return refuse(log.error().message);
  log_ = std::move(*log);
  if (auto noted = *known ? expected<void, store::engine_failure>{} : engine.note_log(); !noted)
    return refuse(noted.error().message);

  const std::set<store::slot_id> here{wanted.begin(), wanted.end()};
  std::set<store::slot_id> all{here};
  for (const auto slot : recovery.slots())
    all.insert(slot);
  for (store::slot_id slot = 0; slot < storage_.slot_count; ++slot)
    all.insert(slot);
  for (const auto slot : all) {
    auto image = engine.load(slot);
    if (!image)
      return refuse(image.error().message);
    const auto durable = image->at.index;
    auto joined = recovery.join(slot, std::move(*image));
    if (!joined)
      return refuse(joined.error());
    const bool held = here.contains(slot) || durable != 0 || !joined->log.empty();
    if (auto released = log_->release(slot, held ? durable : ~store::log_index{0}); !released)
      return refuse(released.error().message);
    if (held)
      out.slots.emplace(slot, std::move(*joined));
  }
  return out;
}

void log_actor::append(const messages::log_append& request) {
  auto shard = caf::actor_cast<caf::actor>(current_sender());
  if (!broken_.empty())
    return send(shard, messages::disk_failed{broken_});
  log_->append(request.slot, request.last, request.payload);
  ++records_;
  waiters_[request.slot] = {std::move(shard), request.write};
  if (log_->pending_bytes() >= max_group_bytes)
    return flush();
  if (!std::exchange(flush_pending_, true))
    send(this, flush_atom_v);
}

void log_actor::flush() {
  if (!log_ || !broken_.empty())
    return;
  if (!waiters_.empty()) {
    if (storage_.detached && backlog_->full()) {
      ++paced_;
      backlog_->wait(backlog_patience);
    }
    const auto begin = std::chrono::steady_clock::now();
    const auto synced = log_->sync();
    sync_time_.record(static_cast<std::uint64_t>((std::chrono::steady_clock::now() - begin).count()));
    ++syncs_;
    if (!synced)
      return fail(synced.error().message);
    for (const auto& [slot, waiting] : std::exchange(waiters_, {}))
      send(waiting.first, messages::log_written{waiting.second});
  }
  for (const auto& each : std::exchange(releases_, {}))
    if (const auto released = log_->release(each.slot, each.index); !released)
      return fail(released.error().message);
}

void log_actor::fail(const std::string& why) {
  broken_ = why;
  spdlog::critical("{}; this node's replicas are out until it is restarted", broken_);
  note_error(broken_);
  for (const auto& [slot, waiting] : std::exchange(waiters_, {}))
    send(waiting.first, messages::disk_failed{broken_});
}

void log_actor::on_exit() {
  waiters_.clear();
}

runtime::state_entries log_actor::state_summary() const {
  return {{"records", std::to_string(records_)},
          {"syncs", std::to_string(syncs_)},
          {"segments", std::to_string(log_ ? log_->segment_count() : 0)},
          {"held_bytes", std::to_string(log_ ? log_->held_bytes() : 0)},
          {"paced_by_engine", std::to_string(paced_)},
          {"sync_p50_us", std::to_string(sync_time_.quantile(0.5) / 1000)},
          {"sync_p99_us", std::to_string(sync_time_.quantile(0.99) / 1000)},
          {"broken", broken_.empty() ? "false" : "true"}};
}

} // namespace glocal::actors
