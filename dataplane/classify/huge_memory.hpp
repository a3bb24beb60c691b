#pragma once
// Memory for tables that are read at random: the largest pages there are, because a walk of the page table costs as
// much as the line itself (random lines in a table of GiB: 4x faster with 2 MiB pages than with 4 KiB).
//
// A region's addresses are reserved at once and never move; its pages are committed as it grows, in this order of
// preference: hugetlbfs (`vm.nr_hugepages`), transparent huge pages (madvise), pages of 4 KiB.
// Threading: one writer; readers may read what was committed before they learned of it.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace glocal::dataplane {

enum class page_kind : std::uint8_t { huge_tlb, transparent_huge, small };
[[nodiscard]] std::string_view to_string(page_kind kind) noexcept;

/// What a large region would get on this machine now.
[[nodiscard]] page_kind expected_page_kind() noexcept;

class huge_memory {
public:
  /// Reserves addresses for `capacity` bytes, none committed; nothing when even addresses are refused.
  [[nodiscard]] static std::optional<huge_memory> reserve(std::size_t capacity) noexcept;

  huge_memory() = default;
  huge_memory(huge_memory&& other) noexcept;
  huge_memory& operator=(huge_memory&& other) noexcept;
  ~huge_memory();

  /// Makes the first `size` bytes usable (new ones are zero). False, with nothing changed, when the machine or the
  /// reservation has no room: the memory is checked for before it is touched, so that want of it is an answer and not
  /// the kernel's out-of-memory killer.
  [[nodiscard]] bool grow(std::size_t size) noexcept;

  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  /// The least of what its parts got.
  [[nodiscard]] page_kind kind() const noexcept { return kind_; }

private:
  [[nodiscard]] bool commit(std::size_t to) noexcept;

  std::byte* data_ = nullptr;
  std::size_t size_ = 0, capacity_ = 0;
  page_kind kind_ = page_kind::huge_tlb;
};

} // namespace glocal::dataplane
