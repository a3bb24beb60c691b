// The kernel for AVX-512 (compiled with -mavx512f -mavx512bw -mavx512vl -mbmi2): the two rules of a line of IPv4 are
// one vector, and so is one rule of IPv6.

#include "dataplane/classify/leaf_marks.hpp"
#include "dataplane/classify/lookup_kernel.hpp"

#include <algorithm>
#include <utility>

// g++ 12 takes its own undefined operands in this header for uninitialised variables (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>

namespace glocal::dataplane {
namespace {

struct isa {
  static std::uint64_t extract(std::uint64_t value, std::uint64_t mask) noexcept { return _pext_u64(value, mask); }

  /// A bit for each lane that matches; the comparison is that of kernel_avx2.cpp.
  static __mmask32 lanes(__m512i rule, __m512i ports, __m512i packet, __m512i mask) noexcept {
    return _mm512_cmpeq_epi16_mask(_mm512_max_epu16(rule, ports), _mm512_and_si512(packet, mask));
  }
  static __m512i pair(const void* first, const void* second) noexcept {
    const auto low = _mm512_castsi256_si512(_mm256_load_si256(static_cast<const __m256i*>(first)));
    return _mm512_inserti64x4(low, _mm256_load_si256(static_cast<const __m256i*>(second)), 1);
  }

  template <std::size_t Words>
  struct key {
    explicit key(const packed_words<Words>& of) noexcept {
      if constexpr (Words == 4) {
        packet = pair(&of, &of);
        ports = _mm512_maskz_mov_epi64(0x44, packet);
      } else {
        packet = _mm512_load_si512(&of);
        ports = _mm512_maskz_mov_epi64(0x20, packet);
      }
    }

    unsigned matches(const std::byte* first, const packed_words<Words>* first_mask, const std::byte* second,
                     const packed_words<Words>* second_mask) const noexcept {
      if constexpr (Words == 4) {
        constexpr std::uint32_t fields = 0x0fff;
        const auto equal = lanes(pair(first, second), ports, packet, pair(first_mask, second_mask));
        return static_cast<unsigned>((equal & fields) == fields) |
               static_cast<unsigned>((equal >> 16 & fields) == fields) << 1;
      } else {
        constexpr std::uint32_t fields = 0x0fff'ffff;
        const auto one = lanes(_mm512_load_si512(first), ports, packet, _mm512_load_si512(first_mask));
        const auto two = lanes(_mm512_load_si512(second), ports, packet, _mm512_load_si512(second_mask));
        return static_cast<unsigned>((one & fields) == fields) | static_cast<unsigned>((two & fields) == fields) << 1;
      }
    }

    unsigned matches(const std::byte* slot, const packed_words<Words>* mask) const noexcept {
      return matches(slot, mask, slot, mask) & 1;
    }

    __m512i packet, ports;
  };
};

#include "dataplane/classify/lookup_kernel.ipp"

} // namespace

const lookup_kernel kernels::avx512{"avx512", lookup_burst<4, isa>, lookup_burst<8, isa>};

} // namespace glocal::dataplane
