#include "actors/store/slot_meters.hpp"

#include <algorithm>
#include <type_traits>
#include <variant>

namespace glocal::actors {

slot_meters::kind slot_meters::tally::kind_of(const store::operation& op) noexcept {
  if (std::holds_alternative<store::get_op>(op))
    return kind::get;
  if (std::holds_alternative<store::put_op>(op))
    return kind::put;
  if (std::holds_alternative<store::put_if_absent_op>(op))
    return kind::put_if_absent;
  if (std::holds_alternative<store::compare_and_set_op>(op))
    return kind::compare_and_set;
  static_assert(std::variant_size_v<store::operation> == 5, "name the new kind here");
  return kind::erase;
}

void slot_meters::record(store::slot_id slot, const tally& operations, std::chrono::nanoseconds took) noexcept {
  std::uint64_t all = 0;
  for (std::size_t i = 0; i < kind_names.size(); ++i)
    if (operations[i] > 0) {
      add(slot, static_cast<kind>(i), operations[i]);
      all += operations[i];
    }
  meters_[slot].duration.record(took, all);
}

void slot_meters::record_scan(store::slot_id slot, std::chrono::nanoseconds took) noexcept {
  add(slot, kind::scan, 1);
  meters_[slot].duration.record(took);
}

void slot_meters::count_watch(store::slot_id slot) noexcept {
  add(slot, kind::watch, 1);
}

void slot_meters::add(store::slot_id slot, kind what, std::uint64_t count) noexcept {
  auto& to = meters_[slot].operations[static_cast<std::size_t>(what)];
  to.store(to.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
}

bool slot_meters::meter::is_used() const noexcept {
  return std::ranges::any_of(operations, [](const auto& one) { return one.load(std::memory_order_relaxed) > 0; });
}

} // namespace glocal::actors
