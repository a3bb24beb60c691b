#pragma once
// What a store node does for each slot it keeps: operations by kind, and how long they took, for /metrics.
//
// An operation takes from its arrival at the node until its slot has answered, which for a write is when it is on disk.
// Threading: one store node writes, any number of threads read. Memory: 200 bytes a slot.

#include "base/latency_buckets.hpp"
#include "store/slots.hpp"
#include "store/types.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string_view>
#include <vector>

namespace glocal::actors {

class slot_meters {
public:
  enum class kind : std::uint8_t { get, put, put_if_absent, compare_and_set, erase, scan, watch };
  static constexpr std::array<std::string_view, 7> kind_names{"get",   "put",  "put_if_absent", "compare_and_set",
                                                              "erase", "scan", "watch"};

  /// The operations of one request on one slot.
  class tally {
  public:
    void count(const store::operation& op) noexcept { ++counts_[static_cast<std::size_t>(kind_of(op))]; }
    [[nodiscard]] std::uint32_t operator[](std::size_t kind) const noexcept { return counts_[kind]; }

  private:
    [[nodiscard]] static kind kind_of(const store::operation& op) noexcept;
    std::array<std::uint32_t, kind_names.size()> counts_{};
  };

  explicit slot_meters(std::size_t slots) : meters_(slots) {}

  // The node. REQUIRES: a slot below the number at construction.
  void record(store::slot_id slot, const tally& operations, std::chrono::nanoseconds took) noexcept;
  void record_scan(store::slot_id slot, std::chrono::nanoseconds took) noexcept;
  void count_watch(store::slot_id slot) noexcept;

  // Any thread.
  struct meter {
    std::array<std::atomic<std::uint64_t>, kind_names.size()> operations{};
    /// Of all kinds but watches, which last.
    latency_buckets duration;

    [[nodiscard]] bool is_used() const noexcept;
  };
  [[nodiscard]] const std::vector<meter>& by_slot() const noexcept { return meters_; }

private:
  void add(store::slot_id slot, kind what, std::uint64_t count) noexcept;

  std::vector<meter> meters_;
};

} // namespace glocal::actors
