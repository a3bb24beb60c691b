#pragma once
// What the parts of etcd_store have in common: for its source files alone.

#include "store/etcd/etcd_store.hpp"
#include "store/etcd/row_codec.hpp"

#include <atomic>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

namespace glocal::store {

/// Outlives the store while calls are under way.
struct etcd_store::shared {
  shared(std::shared_ptr<etcd_client> way, std::string_view cluster, executor run)
      : client{std::move(way)}, space{cluster}, in_owner{std::move(run)} {}

  std::shared_ptr<etcd_client> client;
  const etcd::row_space space;
  const executor in_owner;
  /// Of the owner alone: whether callbacks may still run.
  bool alive = true;
  /// The etcd cluster that answered first; 0: none did.
  std::atomic<std::uint64_t> etcd_cluster{0};
  /// Of the owner alone; 0: none yet.
  etcd_client::stream_id stream = 0;
  /// Guards what follows: what the stream asks for, `from` being what it is to go on with.
  std::mutex mutex;
  std::map<watch_id, etcd::watched_rows> joined;
  /// Of the connection there is: joined ones that etcd has not begun yet, and the heartbeats it has brought.
  std::set<watch_id> awaited;
  std::size_t heartbeats = 0;

  [[nodiscard]] bool is_ours(std::uint64_t id) {
    std::uint64_t first = 0;
    return id != 0 && (etcd_cluster.compare_exchange_strong(first, id) || first == id);
  }
  /// Runs `what` in the owner, unless the store is gone by then.
  static void run(const std::shared_ptr<shared>& self, std::function<void()> what) {
    self->in_owner([self, what = std::move(what)] {
      if (self->alive)
        what();
    });
  }
};

/// What a range led to: rows, or why not.
struct range_outcome {
  std::optional<etcd::found_rows> found;
  store_error why = store_error::unavailable;
  /// With fewer rows it may work; etcd refused: the revision is compacted.
  bool is_too_large = false, is_refused = false;
};

/// @param done runs on the client's thread.
void ask_range(const std::shared_ptr<etcd_client>& client, const etcd::row_space& space, etcd::range_of_rows what,
               std::chrono::milliseconds within, std::function<bool(std::uint64_t)> is_ours,
               std::function<void(range_outcome)> done);

/// Rows asked for at once, at first: half of an answer's bound if all have the largest values.
inline constexpr std::size_t first_range = 12, most_in_range = 1000;
/// How many to ask for next, `bytes` being what the last `rows` had: about 1 MiB.
[[nodiscard]] std::size_t next_range(std::size_t rows, std::size_t bytes) noexcept;

} // namespace glocal::store
