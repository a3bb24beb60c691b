#pragma once
// A fixed number of `T` by index. Reserved at construction, touched by the kernel only as far as it was ever used, so a
// generous bound costs address space and no memory.
//
// Threading: one thread. Only the constructor allocates.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>
#include <vector>

namespace glocal::dataplane {

/// "No element" for every index in this folder.
inline constexpr std::uint32_t none = 0xffff'ffff;

template <class T>
class pool {
  static_assert(std::is_trivially_destructible_v<T>);

public:
  explicit pool(std::size_t capacity)
      : capacity_{static_cast<std::uint32_t>(capacity)}, items_{std::allocator<T>{}.allocate(capacity)} {
    free_.reserve(capacity);
  }
  pool(const pool&) = delete;
  pool& operator=(const pool&) = delete;
  ~pool() { std::allocator<T>{}.deallocate(items_, capacity_); }

  /// Index of a default-constructed element, `none` when all are taken.
  [[nodiscard]] std::uint32_t acquire() noexcept {
    std::uint32_t index = none;
    if (!free_.empty()) {
      index = free_.back();
      free_.pop_back();
    } else if (high_water_ < capacity_)
      index = high_water_++;
    if (index != none)
      std::construct_at(items_ + index);
    return index;
  }

  /// REQUIRES: `index` is acquired.
  void release(std::uint32_t index) noexcept {
    std::construct_at(items_ + index); // so that a scan up to high_water() tells free elements from used ones
    free_.push_back(index);
  }

  [[nodiscard]] T& operator[](std::uint32_t index) noexcept { return items_[index]; }
  [[nodiscard]] const T& operator[](std::uint32_t index) const noexcept { return items_[index]; }

  [[nodiscard]] std::size_t used() const noexcept { return high_water_ - free_.size(); }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  /// Elements at or above were never acquired.
  [[nodiscard]] std::uint32_t high_water() const noexcept { return high_water_; }

private:
  std::uint32_t capacity_, high_water_ = 0;
  T* items_;
  std::vector<std::uint32_t> free_;
};

} // namespace glocal::dataplane
