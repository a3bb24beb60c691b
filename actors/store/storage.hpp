#pragma once
// What a store node keeps its replicas on: an engine for the state and, beside it, the files of a log.

#include "store/engine.hpp"
#include "store/log_disk.hpp"
#include "store/segment_log.hpp"

#include <cstdint>
#include <functional>
#include <memory>

namespace glocal::actors {

struct store_storage {
  /// Opened by the caller, so that what is wrong with its directory is said at start.
  std::shared_ptr<store::engine> engine;
  /// Of the cluster.
  store::slot_id slot_count = 0;
  /// Called whenever the store starts, by the thread that will use the files.
  std::function<expected<std::unique_ptr<store::log_disk>, store::log_failure>()> open_log;
  store::segment_log_options log{std::size_t{16} << 20, 2};
  /// Off for deterministic tests, where the disks are memory: then both are cooperative actors.
  bool detached = true;
};

} // namespace glocal::actors
