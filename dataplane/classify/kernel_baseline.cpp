// The kernel for any machine: words and lanes compared one by one. Its reads of rules are atomic, so that
// ThreadSanitizer can judge the lookups that run beside updates.

#include "dataplane/classify/leaf_marks.hpp"
#include "dataplane/classify/lookup_kernel.hpp"

#include <algorithm>
#include <utility>

#include <emmintrin.h>

namespace glocal::dataplane {
namespace {

struct isa {
  static std::uint64_t extract(std::uint64_t value, std::uint64_t mask) noexcept { return extract_bits(value, mask); }

  template <std::size_t Words>
  struct key {
    const packed_words<Words>& packet;

    unsigned matches(const std::byte* first, const packed_words<Words>* first_mask, const std::byte* second,
                     const packed_words<Words>* second_mask) const noexcept {
      return static_cast<unsigned>(matches(first, first_mask)) | static_cast<unsigned>(matches(second, second_mask))
                                                                     << 1;
    }
    bool matches(const std::byte* slot, const packed_words<Words>* mask) const noexcept {
      using layout = packed_layout<Words>;
      const auto* rule = reinterpret_cast<const std::uint64_t*>(slot);
      std::uint64_t differ = 0;
      for (std::size_t i = 0; i < layout::ports; ++i)
        differ |= (packet.word[i] & mask->word[i]) ^ __atomic_load_n(rule + i, __ATOMIC_RELAXED);
      const auto seen = packet.word[layout::ports], ends = __atomic_load_n(rule + layout::ports, __ATOMIC_RELAXED);
      bool within = true;
      for (unsigned shift = 0; shift < 64; shift += 16)
        within &= (seen >> shift & 0xffff) >= (ends >> shift & 0xffff);
      return within && differ == 0;
    }
  };
};

#include "dataplane/classify/lookup_kernel.ipp"

} // namespace

const lookup_kernel kernels::baseline{"baseline", lookup_burst<4, isa>, lookup_burst<8, isa>};

} // namespace glocal::dataplane
