// What the lane scheduler drives: one way to advance several chains over blocks of 64 bytes.
#pragma once

#include "digest_kernels.h"

enum { DK_BLOCK = 64, DK_WORDS_MAX = 8, DK_LANES_MAX = 32 };

// Advances `active` chains, chain i over `blocks` blocks at `lanes[i]`. Vector kernels advance all
// their lanes, so every pointer up to the engine's lanes is readable.
typedef void dk_compress(uint32_t *state, const uint8_t *const *lanes, size_t active,
                         size_t blocks);

typedef struct dk_engine {
  dk_compress *compress;
  unsigned lanes;
  // With this many chains or fewer left, the next engine of the list is faster. It has enough
  // lanes.
  unsigned yields_at;
  // Word w of lane l is state[w * word_stride + l * lane_stride].
  unsigned word_stride, lane_stride;
} dk_engine;

// The two layouts: lanes side by side for vectors, words side by side for single chains.
#define DK_VECTOR_STATE(lane_count) .word_stride = (lane_count), .lane_stride = 1
#define DK_SCALAR_STATE .word_stride = 1, .lane_stride = DK_WORDS_MAX

typedef struct dk_function {
  uint32_t start[DK_WORDS_MAX];
  unsigned words;
  bool big_endian;
} dk_function;

extern const dk_function dk_functions[3];

// Writes the end of a message to `tail`: its last `count % 64` bytes from `rest`, the mark, zeros
// and the bit count. Returns how many blocks that is, 1 or 2.
size_t dk_pad(const dk_function *function, const uint8_t *rest, uint64_t count, uint8_t *tail);

// Writes a chain's words as bytes.
void dk_write_digest(const dk_function *function, const uint32_t *state, size_t stride,
                     uint8_t *digest);

// Messages in a row, or parts of one buffer when `messages` is null.
typedef struct dk_source {
  const dk_message *messages;
  const uint8_t *bytes;
  size_t byte_count, part;
  size_t count;
} dk_source;

// `engines` go from wide to narrow; the last one's `yields_at` is 0.
void dk_run_lanes(const dk_function *function, const dk_engine *engines, const dk_source *source,
                  uint8_t *digests);

dk_compress dk_md5_portable, dk_sha1_portable, dk_sha256_portable;

#if defined(__x86_64__)
dk_compress dk_md5_avx2_8, dk_md5_avx2_16, dk_md5_avx512_16, dk_md5_avx512_32;
dk_compress dk_sha1_avx2_8, dk_sha1_avx512_16, dk_sha1_ni;
dk_compress dk_sha256_avx2_8, dk_sha256_avx512_16, dk_sha256_ni;
#endif
