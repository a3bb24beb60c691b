#include "dataplane/classify/huge_memory.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include <sys/mman.h>

namespace glocal::dataplane {
namespace {

constexpr std::size_t small_page = 4096, huge_page = std::size_t{2} << 20;
/// Regions below this grow by small steps: a switch with ten rules does not zero 2 MiB for them.
constexpr std::size_t small_step = std::size_t{64} << 10;
/// What is left to the rest of the machine.
constexpr std::size_t reserve_bytes = std::size_t{128} << 20;

constexpr std::size_t round_up(std::size_t value, std::size_t unit) noexcept {
  return (value + unit - 1) / unit * unit;
}

/// A number of KiB from /proc/meminfo; nothing when there is no such line.
std::optional<std::size_t> meminfo_bytes(const char* key) noexcept {
  auto* file = std::fopen("/proc/meminfo", "re");
  if (file == nullptr)
    return {};
  char line[128];
  std::optional<std::size_t> out;
  while (!out && std::fgets(line, sizeof line, file) != nullptr) {
    std::size_t kibibytes = 0;
    if (std::strncmp(line, key, std::strlen(key)) == 0 &&
        std::sscanf(line + std::strlen(key), ": %zu", &kibibytes) == 1)
      out = kibibytes << 10;
  }
  std::fclose(file);
  return out;
}

bool transparent_huge_pages() noexcept {
  auto* file = std::fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
  if (file == nullptr)
    return false;
  char line[64] = {};
  const bool read = std::fgets(line, sizeof line, file) != nullptr;
  std::fclose(file);
  return read && std::strstr(line, "[never]") == nullptr;
}

} // namespace

std::string_view to_string(page_kind kind) noexcept {
  switch (kind) {
  case page_kind::huge_tlb: return "hugetlbfs pages of 2 MiB";
  case page_kind::transparent_huge: return "transparent huge pages";
  case page_kind::small: return "pages of 4 KiB";
  }
  return "unknown";
}

page_kind expected_page_kind() noexcept {
  auto* file = std::fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
  unsigned long free_pages = 0;
  if (file != nullptr) {
    if (std::fscanf(file, "%lu", &free_pages) != 1)
      free_pages = 0;
    std::fclose(file);
  }
  return free_pages > 0             ? page_kind::huge_tlb
         : transparent_huge_pages() ? page_kind::transparent_huge
                                    : page_kind::small;
}

std::optional<huge_memory> huge_memory::reserve(std::size_t capacity) noexcept {
  huge_memory out;
  out.capacity_ = round_up(std::max<std::size_t>(capacity, 1), huge_page);
  // One page more, so that the region can begin at a huge page; what is cut off is given back.
  auto* raw = ::mmap(nullptr, out.capacity_ + huge_page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED)
    return {};
  auto* begin = static_cast<std::byte*>(raw);
  const auto head = round_up(reinterpret_cast<std::uintptr_t>(raw), huge_page) - reinterpret_cast<std::uintptr_t>(raw);
  if (head > 0)
    ::munmap(begin, head);
  if (head < huge_page)
    ::munmap(begin + head + out.capacity_, huge_page - head);
  out.data_ = begin + head;
  return out;
}

huge_memory::huge_memory(huge_memory&& other) noexcept
    : data_{std::exchange(other.data_, nullptr)}, size_{std::exchange(other.size_, 0)},
      capacity_{std::exchange(other.capacity_, 0)}, kind_{other.kind_} {}

huge_memory& huge_memory::operator=(huge_memory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(capacity_, other.capacity_);
  std::swap(kind_, other.kind_);
  return *this;
}

huge_memory::~huge_memory() {
  if (data_ != nullptr)
    ::munmap(data_, capacity_);
}

bool huge_memory::grow(std::size_t size) noexcept {
  if (size <= size_)
    return true;
  if (size > capacity_)
    return false;
  // By an eighth at least, so that growth costs few calls.
  const auto wanted = std::max(size, size_ + size_ / 8);
  const auto step = wanted < huge_page ? small_step : huge_page;
  return commit(std::min(round_up(wanted, step), capacity_)) || commit(std::min(round_up(size, step), capacity_));
}

bool huge_memory::commit(std::size_t to) noexcept {
  const auto bytes = to - size_;
  auto* at = data_ + size_;
  if (size_ % huge_page == 0 && bytes % huge_page == 0) {
    auto* huge = ::mmap(at, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_HUGETLB | MAP_POPULATE, -1, 0);
    if (huge != MAP_FAILED) {
      size_ = to;
      return true;
    }
    // A failed fixed mapping may have removed the reservation (mmap(2)).
    if (::mmap(at, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED)
      return false;
  }
  if (bytes >= huge_page) {
    const auto available = meminfo_bytes("MemAvailable");
    if (available && bytes + reserve_bytes > *available)
      return false;
  }
  if (::mprotect(at, bytes, PROT_READ | PROT_WRITE) != 0)
    return false;
  const bool transparent = transparent_huge_pages() && ::madvise(at, bytes, MADV_HUGEPAGE) == 0;
  kind_ = std::max(kind_, transparent ? page_kind::transparent_huge : page_kind::small);
  size_ = to;
  return true;
}

} // namespace glocal::dataplane
