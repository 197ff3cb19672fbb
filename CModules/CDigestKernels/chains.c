// The three chains of a package, woven. MD5's is the longest: 64 steps of five dependent operations
// a block. The two SHA-256 chains run on other units and fit beside it, four rounds to four steps.
#include "constants.h"
#include "engine.h"
#include "sha_instructions.h"

#include <string.h>

static const dk_function *const md5 = &dk_functions[DK_MD5];
static const dk_function *const sha256 = &dk_functions[DK_SHA256];

bool dk_chains_run(void) { return dk_runs(DK_SHA256, DK_SHA); }

void dk_chains_begin_leaf(dk_chains *chains) {
  memcpy(chains->leaf, sha256->start, sizeof(chains->leaf));
}

void dk_chains_begin(dk_chains *chains) {
  memcpy(chains->md5, md5->start, sizeof(chains->md5));
  memcpy(chains->sha256, sha256->start, sizeof(chains->sha256));
}

static void end_sha256(uint32_t *state, const uint8_t *rest, uint64_t count, uint8_t *digest) {
  uint8_t tail[2 * DK_BLOCK];
  const uint8_t *lane = tail;
  size_t blocks = dk_pad(sha256, rest, count, tail);
  dk_sha256_portable(state, &lane, 1, blocks);
  dk_write_digest(sha256, state, 1, digest);
}

void dk_chains_end_leaf(dk_chains *chains, const uint8_t *rest, uint64_t count, uint8_t *digest) {
  end_sha256(chains->leaf, rest, count, digest);
}

void dk_chains_end(dk_chains *chains, const uint8_t *rest, uint64_t count, uint8_t *sha256_digest,
                   uint8_t *md5_digest) {
  end_sha256(chains->sha256, rest, count, sha256_digest);
  uint8_t tail[2 * DK_BLOCK];
  const uint8_t *lane = tail;
  dk_md5_portable(chains->md5, &lane, 1, dk_pad(md5, rest, count, tail));
  dk_write_digest(md5, chains->md5, 1, md5_digest);
}

#if defined(__x86_64__)

#define UNROLL _Pragma("clang loop unroll(full)")
#define ROTATE(x, n) ((x) << (n) | (x) >> (32 - (n)))

// Keeps the compiler from reordering the sums around `x`: the chain is as short as its order
// allows.
#define SETTLE(x) __asm__("" : "+r"(x))

// Adds RFC 1321's F, G, H and I, arranged so that little waits for `b`, the newest word. The halves
// of G share no bit, so it is their sum.
#define ADD_F(a, b, c, d) a += (((c) ^ (d)) & (b)) ^ (d)
#define ADD_G(a, b, c, d) \
  a += ~(d) & (c);        \
  SETTLE(a);              \
  a += (d) & (b)
#define ADD_H(a, b, c, d) a += (b) ^ ((c) ^ (d))
#define ADD_I(a, b, c, d) a += (c) ^ ((b) | ~(d))

// A quarter of a block: 16 steps of MD5, and 16 rounds of both SHA-256 chains beside them.
#define QUARTER(ROUND, FUNCTION, INDEX)                                                           \
  UNROLL for (int group = 4 * ROUND; group < 4 * ROUND + 4; group++) {                             \
    UNROLL for (int i = 4 * (group & 3); i < 4 * (group & 3) + 4; i++) {                           \
      uint32_t word, b = s[(17 - i) & 3], c = s[(18 - i) & 3], d = s[(19 - i) & 3];                \
      memcpy(&word, bytes + 4 * ((INDEX) & 15), sizeof(word));                                     \
      uint32_t a = s[(16 - i) & 3] + md5_sines[16 * ROUND + i] + word;                             \
      SETTLE(a);                                                                                   \
      FUNCTION(a, b, c, d);                                                                        \
      s[(16 - i) & 3] = b + ROTATE(a, md5_rotations[ROUND][i & 3]);                                \
    }                                                                                              \
    NI_SHA256_SCHEDULE(w, group);                                                                  \
    __m128i keyed = NI_SHA256_KEYED(w, group);                                                     \
    NI_SHA256_FOUR(abef[0], cdgh[0], keyed);                                                       \
    NI_SHA256_FOUR(abef[1], cdgh[1], keyed);                                                       \
  }

SHA_NI void dk_chains_advance(dk_chains *chains, const uint8_t *bytes, size_t blocks) {
  const __m128i swap = NI_SWAP_WORDS;
  __m128i abef[2], cdgh[2];
  uint32_t chain[4], s[4];
  NI_SHA256_LOAD(abef[0], cdgh[0], chains->sha256);
  NI_SHA256_LOAD(abef[1], cdgh[1], chains->leaf);
  memcpy(chain, chains->md5, sizeof(chain));
  for (; blocks > 0; blocks--, bytes += DK_BLOCK) {
    // Both SHA-256 chains take the same words: one schedule serves both.
    __m128i w[4], abef_before[2], cdgh_before[2];
    UNROLL for (int q = 0; q < 4; q++)
        w[q] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)bytes + q), swap);
    UNROLL for (int i = 0; i < 2; i++) {
      abef_before[i] = abef[i];
      cdgh_before[i] = cdgh[i];
    }
    UNROLL for (int i = 0; i < 4; i++) s[i] = chain[i];
    QUARTER(0, ADD_F, i)
    QUARTER(1, ADD_G, 5 * i + 1)
    QUARTER(2, ADD_H, 3 * i + 5)
    QUARTER(3, ADD_I, 7 * i)
    UNROLL for (int i = 0; i < 4; i++) chain[i] += s[i];
    UNROLL for (int i = 0; i < 2; i++) {
      abef[i] = _mm_add_epi32(abef[i], abef_before[i]);
      cdgh[i] = _mm_add_epi32(cdgh[i], cdgh_before[i]);
    }
  }
  NI_SHA256_STORE(chains->sha256, abef[0], cdgh[0]);
  NI_SHA256_STORE(chains->leaf, abef[1], cdgh[1]);
  memcpy(chains->md5, chain, sizeof(chain));
}

#else

void dk_chains_advance(dk_chains *chains, const uint8_t *bytes, size_t blocks) {
  const uint8_t *lane = bytes;
  dk_md5_portable(chains->md5, &lane, 1, blocks);
  dk_sha256_portable(chains->sha256, &lane, 1, blocks);
  dk_sha256_portable(chains->leaf, &lane, 1, blocks);
}

#endif
