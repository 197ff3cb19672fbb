// SHA-1 with the SHA instructions, several chains woven.
#include "constants.h"
#include "engine.h"
#include "sha_instructions.h"

#if defined(__x86_64__)

#define UNROLL _Pragma("clang loop unroll(full)")

// The chain is {D C B A} with A in the high word; E travels in the high word of a vector of its
// own, as the A of four rounds ago, which `sha1nexte` turns and adds to the next words. The first
// group of a block adds the chain's E unturned. The immediate of `sha1rnds4` is the function of the
// round, constant only after unrolling, hence the four spelled loops. FIPS 180-4, 6.1.2.
#define ROUNDS(WIDTH, FIRST, FUNCTION)                                                            \
  UNROLL for (int g = FIRST; g < FIRST + 5; g++) {                                                 \
    UNROLL for (int i = 0; i < WIDTH; i++) {                                                       \
      __m128i *word = w[i];                                                                        \
      if (g >= 4)                                                                                  \
        word[g & 3] = _mm_sha1msg2_epu32(                                                          \
            _mm_xor_si128(_mm_sha1msg1_epu32(word[g & 3], word[(g + 1) & 3]), word[(g + 2) & 3]),  \
            word[(g + 3) & 3]);                                                                    \
      __m128i added = g == 0 ? _mm_add_epi32(e[i], word[0])                                        \
                             : _mm_sha1nexte_epu32(e[i], word[g & 3]);                             \
      e[i] = abcd[i];                                                                              \
      abcd[i] = _mm_sha1rnds4_epu32(abcd[i], added, FUNCTION);                                     \
    }                                                                                              \
  }

// Advances WIDTH chains.
#define DEFINE(NAME, WIDTH)                                                                       \
  SHA_NI static void NAME(uint32_t *state, const uint8_t *const *lanes, size_t blocks) {           \
    const __m128i reverse = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);    \
    __m128i abcd[WIDTH], e[WIDTH];                                                                 \
    UNROLL for (int i = 0; i < WIDTH; i++) {                                                       \
      const uint32_t *words = state + i * DK_WORDS_MAX;                                            \
      abcd[i] = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)words), 0x1b);                  \
      e[i] = _mm_set_epi32((int)words[4], 0, 0, 0);                                                \
    }                                                                                              \
    for (size_t offset = 0; offset < blocks * DK_BLOCK; offset += DK_BLOCK) {                      \
      __m128i w[WIDTH][4], abcd_before[WIDTH], e_before[WIDTH];                                    \
      UNROLL for (int i = 0; i < WIDTH; i++) {                                                     \
        abcd_before[i] = abcd[i];                                                                  \
        e_before[i] = e[i];                                                                        \
        UNROLL for (int q = 0; q < 4; q++) w[i][q] = _mm_shuffle_epi8(                             \
            _mm_loadu_si128((const __m128i *)(lanes[i] + offset) + q), reverse);                   \
      }                                                                                            \
      ROUNDS(WIDTH, 0, 0)                                                                          \
      ROUNDS(WIDTH, 5, 1)                                                                          \
      ROUNDS(WIDTH, 10, 2)                                                                         \
      ROUNDS(WIDTH, 15, 3)                                                                         \
      UNROLL for (int i = 0; i < WIDTH; i++) {                                                     \
        e[i] = _mm_sha1nexte_epu32(e[i], e_before[i]);                                             \
        abcd[i] = _mm_add_epi32(abcd[i], abcd_before[i]);                                          \
      }                                                                                            \
    }                                                                                              \
    UNROLL for (int i = 0; i < WIDTH; i++) {                                                       \
      uint32_t *words = state + i * DK_WORDS_MAX;                                                  \
      _mm_storeu_si128((__m128i *)words, _mm_shuffle_epi32(abcd[i], 0x1b));                        \
      words[4] = (uint32_t)_mm_extract_epi32(e[i], 3);                                             \
    }                                                                                              \
  }

DEFINE(advance_1, 1)
DEFINE(advance_2, 2)
DEFINE(advance_3, 3)
DEFINE(advance_4, 4)

void dk_sha1_ni(uint32_t *state, const uint8_t *const *lanes, size_t active, size_t blocks) {
  size_t i = 0;
  for (; i + 4 <= active; i += 4) advance_4(state + i * DK_WORDS_MAX, lanes + i, blocks);
  for (; i + 3 <= active; i += 3) advance_3(state + i * DK_WORDS_MAX, lanes + i, blocks);
  for (; i + 2 <= active; i += 2) advance_2(state + i * DK_WORDS_MAX, lanes + i, blocks);
  for (; i < active; i++) advance_1(state + i * DK_WORDS_MAX, lanes + i, blocks);
}

#endif
