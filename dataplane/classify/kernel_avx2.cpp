// The kernel for AVX2 (compiled with -mavx2 -mbmi2): one rule of IPv4 is one vector. Once with PEXT, once without for
// processors that have it in microcode only (AMD before Zen 3: some 250 cycles).

#include "dataplane/classify/leaf_marks.hpp"
#include "dataplane/classify/lookup_kernel.hpp"

#include <algorithm>
#include <utility>

#include <immintrin.h>

namespace glocal::dataplane {
namespace {

template <bool FastPext>
struct isa {
  static std::uint64_t extract(std::uint64_t value, std::uint64_t mask) noexcept {
    if constexpr (FastPext)
      return _pext_u64(value, mask);
    else
      return extract_bits(value, mask);
  }

  /// A lane matches when (packet & mask) == rule; one of the ports word when packet >= rule, which is
  /// max(packet, rule) == packet. With the packet's ports alone in `ports`, max(rule, ports) == (packet & mask) says
  /// both.
  static __m256i lanes(__m256i rule, __m256i ports, __m256i packet, __m256i mask) noexcept {
    return _mm256_cmpeq_epi16(_mm256_max_epu16(rule, ports), _mm256_and_si256(packet, mask));
  }
  static __m256i load(const void* at) noexcept { return _mm256_load_si256(static_cast<const __m256i*>(at)); }

  template <std::size_t Words>
  struct key {
    explicit key(const packed_words<Words>& packet) noexcept : low{load(&packet)} {
      if constexpr (Words == 4)
        ports = _mm256_blend_epi32(_mm256_setzero_si256(), low, 0x30);
      else {
        high = load(&packet.word[4]);
        ports = _mm256_blend_epi32(_mm256_setzero_si256(), high, 0x0c);
      }
    }

    unsigned matches(const std::byte* first, const packed_words<Words>* first_mask, const std::byte* second,
                     const packed_words<Words>* second_mask) const noexcept {
      return matches(first, first_mask) | matches(second, second_mask) << 1;
    }
    unsigned matches(const std::byte* slot, const packed_words<Words>* mask) const noexcept {
      if constexpr (Words == 4)
        return all_but_payload(lanes(load(slot), ports, low, load(mask)));
      else {
        const auto equal = _mm256_cmpeq_epi16(load(slot), _mm256_and_si256(low, load(mask)));
        return all_but_payload(
            _mm256_and_si256(equal_or_payload(equal), lanes(load(slot + 32), ports, high, load(&mask->word[4]))));
      }
    }

    /// 1 when all lanes but the payload's are all ones: the carry of adding 1, for a comparison may become a branch.
    static unsigned all_but_payload(__m256i equal) noexcept {
      const auto bytes = static_cast<std::uint32_t>(_mm256_movemask_epi8(equal)) | 0xff00'0000u;
      return static_cast<unsigned>((std::uint64_t{bytes} + 1) >> 32);
    }
    /// 0 in some lane of the low three words when any of the four words' lanes differ.
    static __m256i equal_or_payload(__m256i equal) noexcept {
      return _mm256_and_si256(equal, _mm256_permute4x64_epi64(equal, 0x03));
    }

    __m256i low, high = _mm256_setzero_si256(), ports;
  };
};

#include "dataplane/classify/lookup_kernel.ipp"

} // namespace

const lookup_kernel kernels::avx2{"avx2", lookup_burst<4, isa<true>>, lookup_burst<8, isa<true>>};
const lookup_kernel kernels::avx2_without_pext{"avx2-without-pext", lookup_burst<4, isa<false>>,
                                               lookup_burst<8, isa<false>>};

} // namespace glocal::dataplane
