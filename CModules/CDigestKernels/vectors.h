// Vectors of 32-bit words, one lane a message, and how each kind does what C has no operator for.
//
// The operations are macros, not functions: a vector may not be passed between functions that are
// compiled for different processors. A bit select takes `a` where the mask is set and `b`
// elsewhere.
#pragma once

#include <stdint.h>
#include <string.h>

#define PORTABLE_ROTATE(x, n) ((x) << (n) | (x) >> (32 - (n)))
#define PORTABLE_XOR3(a, b, c) ((a) ^ (b) ^ (c))
#define PORTABLE_SELECT(mask, a, b) ((((a) ^ (b)) & (mask)) ^ (b))
#define PORTABLE_MAJORITY(a, b, c) (((a) & (b)) | (((a) | (b)) & (c)))
// RFC 1321's G, where `b` comes last and should wait least, and I.
#define PORTABLE_MD5_G(b, c, d) ((~(d) & (c)) + ((d) & (b)))
#define PORTABLE_MD5_I(b, c, d) ((c) ^ ((b) | ~(d)))

static inline uint32_t portable_word(const uint8_t *bytes, int big_endian) {
  uint32_t a = bytes[0], b = bytes[1], c = bytes[2], d = bytes[3];
  return big_endian ? a << 24 | b << 16 | c << 8 | d : d << 24 | c << 16 | b << 8 | a;
}

static inline void portable_load(uint32_t *words, const uint8_t *const *lanes, size_t offset,
                                 int big_endian) {
  for (int i = 0; i < 16; i++) words[i] = portable_word(lanes[0] + offset + 4 * i, big_endian);
}

#if defined(__x86_64__)
#include <immintrin.h>

typedef uint32_t vec8 __attribute__((vector_size(32)));
typedef uint32_t vec16 __attribute__((vector_size(64)));

#define TARGET_AVX2 __attribute__((target("avx2")))
#define TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl")))

// The truth table of a three-operand instruction is its formula over these three columns.
#define AVX512_LOGIC(a, b, c, table) \
  ((vec16)_mm512_ternarylogic_epi32((__m512i)(a), (__m512i)(b), (__m512i)(c), (table) & 0xff))
#define COLUMN_A 0xf0
#define COLUMN_B 0xcc
#define COLUMN_C 0xaa

#define AVX512_ROTATE(x, n) PORTABLE_ROTATE(x, n)
#define AVX512_XOR3(a, b, c) AVX512_LOGIC(a, b, c, COLUMN_A ^ COLUMN_B ^ COLUMN_C)
#define AVX512_SELECT(mask, a, b) \
  AVX512_LOGIC(mask, a, b, (COLUMN_A & COLUMN_B) | (~COLUMN_A & COLUMN_C))
#define AVX512_MAJORITY(a, b, c) \
  AVX512_LOGIC(a, b, c, PORTABLE_MAJORITY(COLUMN_A, COLUMN_B, COLUMN_C))
#define AVX512_MD5_G(b, c, d) AVX512_SELECT(d, b, c)
#define AVX512_MD5_I(b, c, d) AVX512_LOGIC(b, c, d, PORTABLE_MD5_I(COLUMN_A, COLUMN_B, COLUMN_C))

// So many lanes, each a file's block away from the next, are more streams than a processor follows
// by itself. The address may lie behind the message: a prefetch reads nothing.
#define PREFETCH_LANE(lane, offset) \
  _mm_prefetch((const void *)((uintptr_t)(lane) + (offset) + 8 * 64), _MM_HINT_T0)

// Eight lanes' 32 bytes at `offset` become eight vectors, one for each word.
TARGET_AVX2 static inline void avx2_load_half(vec8 *words, const uint8_t *const *lanes,
                                              size_t offset, int big_endian) {
  const __m256i swap = _mm256_broadcastsi128_si256(
      _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
  __m256i row[8], pair[8], quad[8];
#pragma clang loop unroll(full)
  for (int i = 0; i < 8; i++) {
    row[i] = _mm256_loadu_si256((const __m256i *)(lanes[i] + offset));
    PREFETCH_LANE(lanes[i], offset);
    if (big_endian) row[i] = _mm256_shuffle_epi8(row[i], swap);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < 8; i += 2) {
    pair[i] = _mm256_unpacklo_epi32(row[i], row[i + 1]);
    pair[i + 1] = _mm256_unpackhi_epi32(row[i], row[i + 1]);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < 8; i += 4) {
    quad[i] = _mm256_unpacklo_epi64(pair[i], pair[i + 2]);
    quad[i + 1] = _mm256_unpackhi_epi64(pair[i], pair[i + 2]);
    quad[i + 2] = _mm256_unpacklo_epi64(pair[i + 1], pair[i + 3]);
    quad[i + 3] = _mm256_unpackhi_epi64(pair[i + 1], pair[i + 3]);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < 4; i++) {
    words[i] = (vec8)_mm256_permute2x128_si256(quad[i], quad[i + 4], 0x20);
    words[i + 4] = (vec8)_mm256_permute2x128_si256(quad[i], quad[i + 4], 0x31);
  }
}

TARGET_AVX2 static inline void avx2_load(vec8 *words, const uint8_t *const *lanes, size_t offset,
                                         int big_endian) {
  avx2_load_half(words, lanes, offset, big_endian);
  avx2_load_half(words + 8, lanes, offset + 32, big_endian);
}

// Sixteen lanes' 64 bytes at `offset` become sixteen vectors, one for each word.
TARGET_AVX512 static inline void avx512_load(vec16 *words, const uint8_t *const *lanes,
                                             size_t offset, int big_endian) {
  const __m512i swap = _mm512_broadcast_i32x4(
      _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
  __m512i row[16], pair[16], quad[16];
#pragma clang loop unroll(full)
  for (int i = 0; i < 16; i++) {
    row[i] = _mm512_loadu_si512(lanes[i] + offset);
    PREFETCH_LANE(lanes[i], offset);
    if (big_endian) row[i] = _mm512_shuffle_epi8(row[i], swap);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < 16; i += 2) {
    pair[i] = _mm512_unpacklo_epi32(row[i], row[i + 1]);
    pair[i + 1] = _mm512_unpackhi_epi32(row[i], row[i + 1]);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < 16; i += 4) {
    quad[i] = _mm512_unpacklo_epi64(pair[i], pair[i + 2]);
    quad[i + 1] = _mm512_unpackhi_epi64(pair[i], pair[i + 2]);
    quad[i + 2] = _mm512_unpacklo_epi64(pair[i + 1], pair[i + 3]);
    quad[i + 3] = _mm512_unpackhi_epi64(pair[i + 1], pair[i + 3]);
  }
  // quad[4 g + c] has word 4 q + c of lanes 4 g to 4 g + 3 in its quarter q.
#pragma clang loop unroll(full)
  for (int c = 0; c < 4; c++) {
    __m512i low01 = _mm512_shuffle_i32x4(quad[c], quad[4 + c], 0x44);
    __m512i low23 = _mm512_shuffle_i32x4(quad[8 + c], quad[12 + c], 0x44);
    __m512i high01 = _mm512_shuffle_i32x4(quad[c], quad[4 + c], 0xee);
    __m512i high23 = _mm512_shuffle_i32x4(quad[8 + c], quad[12 + c], 0xee);
    words[c] = (vec16)_mm512_shuffle_i32x4(low01, low23, 0x88);
    words[4 + c] = (vec16)_mm512_shuffle_i32x4(low01, low23, 0xdd);
    words[8 + c] = (vec16)_mm512_shuffle_i32x4(high01, high23, 0x88);
    words[12 + c] = (vec16)_mm512_shuffle_i32x4(high01, high23, 0xdd);
  }
}
#endif
