#pragma once
// An engine that forgets: for tests and simulation. A memory_disk outlives its engines, as a disk outlives processes.

#include "store/engine.hpp"

#include <map>
#include <utility>

namespace glocal::store {

/// What would be on the platters.
struct memory_disk {
  struct slot_data {
    revision index = 0;
    log_position at{};
    std::map<std::pair<table, std::string>, entry> entries;
    std::map<lease_id, lease_record> leases;
  };
  std::map<slot_id, slot_data> slots;
  /// Set to make every further write fail, as a full or broken disk does.
  bool broken = false;
  std::uint64_t writes = 0, syncs = 0;
  /// Grows with each wipe.
  std::uint64_t incarnation = 1;
  bool has_log = false;

  /// As when the machine got a new disk.
  void wipe() { *this = memory_disk{{}, false, 0, 0, incarnation + 1, false}; }
};

class memory_engine final : public engine {
public:
  explicit memory_engine(std::shared_ptr<memory_disk> disk = std::make_shared<memory_disk>())
      : disk_{std::move(disk)} {}

  [[nodiscard]] expected<void, engine_failure> write(std::span<const slot_write> writes, bool sync) override;
  [[nodiscard]] expected<void, engine_failure> apply(std::span<const slot_write> writes) override;
  [[nodiscard]] expected<void, engine_failure> flush() override;
  [[nodiscard]] expected<void, engine_failure> replace(slot_id slot, const slot_image& image) override;
  [[nodiscard]] std::uint64_t incarnation() const override { return disk_->incarnation; }
  [[nodiscard]] expected<bool, engine_failure> has_log() override { return disk_->has_log; }
  [[nodiscard]] expected<void, engine_failure> note_log() override {
    disk_->has_log = true;
    return {};
  }
  [[nodiscard]] expected<slot_image, engine_failure> load(slot_id slot) override;
  [[nodiscard]] expected<std::vector<entry>, engine_failure> scan(slot_id slot, table from, std::string_view prefix,
                                                                  std::string_view after, std::size_t limit) override;

private:
  std::shared_ptr<memory_disk> disk_;
};

} // namespace glocal::store
