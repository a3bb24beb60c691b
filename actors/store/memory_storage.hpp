#pragma once
// A store node's disks in memory, for simulation: they outlive the node, as disks outlive processes.

#include "actors/store/storage.hpp"
#include "store/memory_engine.hpp"
#include "store/memory_log_disk.hpp"

#include <memory>

namespace glocal::actors {

struct memory_disks {
  std::shared_ptr<store::memory_disk> state = std::make_shared<store::memory_disk>();
  std::shared_ptr<store::memory_files> log = std::make_shared<store::memory_files>();
  /// Of the log: the largest record just fits, so that segments come and go.
  std::size_t segment_bytes = std::size_t{1} << 20;

  /// As when the machine got new disks.
  void wipe() {
    state->wipe();
    *log = {};
  }
  /// From now on every write fails, as on a full or broken disk; or no longer.
  void set_broken(bool broken) { state->broken = log->broken = broken; }

  [[nodiscard]] store_storage storage(store::slot_id slot_count) const {
    store_storage out;
    out.engine = std::make_shared<store::memory_engine>(state);
    out.slot_count = slot_count;
    out.open_log = [files = log] {
      std::unique_ptr<store::log_disk> disk = std::make_unique<store::memory_log_disk>(files);
      return expected<std::unique_ptr<store::log_disk>, store::log_failure>{std::move(disk)};
    };
    out.log.segment_bytes = segment_bytes;
    out.detached = false;
    return out;
  }
};

} // namespace glocal::actors
