// How the SHA instructions hold a chain and a block: macros, so that kernels can weave them.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>

#define SHA_NI __attribute__((target("sha,ssse3,sse4.1")))

// Reverses the bytes of each 32-bit word.
#define NI_SWAP_WORDS _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3)

// The eight words of a SHA-256 chain as the instructions want them: {F E B A} and {H G D C}, high
// word last.
#define NI_SHA256_LOAD(abef, cdgh, state)                                                         \
  do {                                                                                             \
    __m128i dcba_ = _mm_loadu_si128((const __m128i *)(state));                                     \
    __m128i hgfe_ = _mm_loadu_si128((const __m128i *)((state) + 4));                               \
    __m128i cdab_ = _mm_shuffle_epi32(dcba_, 0xb1), efgh_ = _mm_shuffle_epi32(hgfe_, 0x1b);        \
    abef = _mm_alignr_epi8(cdab_, efgh_, 8);                                                       \
    cdgh = _mm_blend_epi16(efgh_, cdab_, 0xf0);                                                    \
  } while (0)

#define NI_SHA256_STORE(state, abef, cdgh)                                                        \
  do {                                                                                             \
    __m128i feba_ = _mm_shuffle_epi32(abef, 0x1b), dchg_ = _mm_shuffle_epi32(cdgh, 0xb1);          \
    _mm_storeu_si128((__m128i *)(state), _mm_blend_epi16(feba_, dchg_, 0xf0));                     \
    _mm_storeu_si128((__m128i *)((state) + 4), _mm_alignr_epi8(dchg_, feba_, 8));                  \
  } while (0)

// The words 4 g to 4 g + 3, in a ring of four vectors. FIPS 180-4, 6.2.2.
#define NI_SHA256_SCHEDULE(w, g)                                                                  \
  do {                                                                                             \
    if ((g) >= 4) {                                                                                \
      __m128i sum_ = _mm_sha256msg1_epu32(w[(g) & 3], w[((g) + 1) & 3]);                           \
      sum_ = _mm_add_epi32(sum_, _mm_alignr_epi8(w[((g) + 3) & 3], w[((g) + 2) & 3], 4));          \
      w[(g) & 3] = _mm_sha256msg2_epu32(sum_, w[((g) + 3) & 3]);                                   \
    }                                                                                              \
  } while (0)

// The same words with the constants of their rounds added.
#define NI_SHA256_KEYED(w, g) \
  _mm_add_epi32(w[(g) & 3], _mm_load_si128((const __m128i *)(sha256_roots + 4 * (g))))

// Four rounds of a chain.
#define NI_SHA256_FOUR(abef, cdgh, keyed)                                                         \
  do {                                                                                             \
    cdgh = _mm_sha256rnds2_epu32(cdgh, abef, keyed);                                               \
    abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(keyed, 0x0e));                      \
  } while (0)

#endif
