// SHA-256 with the SHA instructions. One chain waits for each instruction's latency; four woven
// chains fill it.
#include "constants.h"
#include "engine.h"
#include "sha_instructions.h"

#if defined(__x86_64__)

#define UNROLL _Pragma("clang loop unroll(full)")

// Advances WIDTH chains.
#define DEFINE(NAME, WIDTH)                                                                       \
  SHA_NI static void NAME(uint32_t *state, const uint8_t *const *lanes, size_t blocks) {           \
    const __m128i swap = NI_SWAP_WORDS;                                                            \
    __m128i abef[WIDTH], cdgh[WIDTH];                                                              \
    UNROLL for (int i = 0; i < WIDTH; i++)                                                         \
        NI_SHA256_LOAD(abef[i], cdgh[i], state + i * DK_WORDS_MAX);                                \
    for (size_t offset = 0; offset < blocks * DK_BLOCK; offset += DK_BLOCK) {                      \
      __m128i w[WIDTH][4], abef_before[WIDTH], cdgh_before[WIDTH];                                 \
      UNROLL for (int i = 0; i < WIDTH; i++) {                                                     \
        abef_before[i] = abef[i];                                                                  \
        cdgh_before[i] = cdgh[i];                                                                  \
        UNROLL for (int q = 0; q < 4; q++) w[i][q] = _mm_shuffle_epi8(                             \
            _mm_loadu_si128((const __m128i *)(lanes[i] + offset) + q), swap);                      \
      }                                                                                            \
      UNROLL for (int g = 0; g < 16; g++) {                                                        \
        UNROLL for (int i = 0; i < WIDTH; i++) {                                                   \
          NI_SHA256_SCHEDULE(w[i], g);                                                             \
          __m128i keyed = NI_SHA256_KEYED(w[i], g);                                                \
          NI_SHA256_FOUR(abef[i], cdgh[i], keyed);                                                 \
        }                                                                                          \
      }                                                                                            \
      UNROLL for (int i = 0; i < WIDTH; i++) {                                                     \
        abef[i] = _mm_add_epi32(abef[i], abef_before[i]);                                          \
        cdgh[i] = _mm_add_epi32(cdgh[i], cdgh_before[i]);                                          \
      }                                                                                            \
    }                                                                                              \
    UNROLL for (int i = 0; i < WIDTH; i++)                                                         \
        NI_SHA256_STORE(state + i * DK_WORDS_MAX, abef[i], cdgh[i]);                               \
  }

DEFINE(advance_1, 1)
DEFINE(advance_2, 2)
DEFINE(advance_3, 3)
DEFINE(advance_4, 4)

void dk_sha256_ni(uint32_t *state, const uint8_t *const *lanes, size_t active, size_t blocks) {
  size_t i = 0;
  for (; i + 4 <= active; i += 4) advance_4(state + i * DK_WORDS_MAX, lanes + i, blocks);
  for (; i + 3 <= active; i += 3) advance_3(state + i * DK_WORDS_MAX, lanes + i, blocks);
  for (; i + 2 <= active; i += 2) advance_2(state + i * DK_WORDS_MAX, lanes + i, blocks);
  for (; i < active; i++) advance_1(state + i * DK_WORDS_MAX, lanes + i, blocks);
}

#endif
