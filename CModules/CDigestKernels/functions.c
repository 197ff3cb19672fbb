// What the three functions share: their beginnings, their padding, their output.
#include "engine.h"

#include <string.h>

// RFC 1321, 3.3; FIPS 180-4, 5.3.1 and 5.3.3.
const dk_function dk_functions[3] = {
    [DK_MD5] = {{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}, 4, false},
    [DK_SHA1] = {{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}, 5, true},
    [DK_SHA256] = {{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
                    0x1f83d9ab, 0x5be0cd19},
                   8,
                   true},
};

size_t dk_digest_size(dk_algorithm algorithm) {
  return dk_functions[algorithm].words * sizeof(uint32_t);
}

size_t dk_pad(const dk_function *function, const uint8_t *rest, uint64_t count, uint8_t *tail) {
  size_t rest_count = count % DK_BLOCK;
  size_t blocks = rest_count + 1 + sizeof(uint64_t) <= DK_BLOCK ? 1 : 2;
  if (rest_count > 0) memcpy(tail, rest, rest_count);
  tail[rest_count] = 0x80;
  memset(tail + rest_count + 1, 0, blocks * DK_BLOCK - rest_count - 1);
  uint64_t bits = count * 8;
  uint8_t *end = tail + blocks * DK_BLOCK - sizeof(bits);
  for (unsigned i = 0; i < sizeof(bits); i++)
    end[i] = (uint8_t)(bits >> (function->big_endian ? 56 - 8 * i : 8 * i));
  return blocks;
}

void dk_write_digest(const dk_function *function, const uint32_t *state, size_t stride,
                     uint8_t *digest) {
  for (size_t word = 0; word < function->words; word++)
    for (unsigned i = 0; i < 4; i++)
      digest[word * 4 + i] =
          (uint8_t)(state[word * stride] >> (function->big_endian ? 24 - 8 * i : 8 * i));
}
