// SHA-1 over lanes (FIPS 180-4, 6.1.2). Included once for each kind of vector; see md5_lanes.h.
#include "instance.h"

TARGET void NAME(uint32_t *state, const uint8_t *const *lanes, size_t active, size_t blocks) {
  (void)active;
  VEC chain[SETS][5];
  LOAD_STATE(chain, 5);
  for (size_t offset = 0; offset < blocks * 64; offset += 64) {
    VEC words[SETS][16], s[SETS][5];
    UNROLL for (int set = 0; set < SETS; set++) {
      LOAD(words[set], lanes + set * LANES, offset, 1);
      UNROLL for (int i = 0; i < 5; i++) s[set][i] = chain[set][i];
    }
    // Step i works on the chain turned by i places: its a is s[-i], its e s[4 - i].
#define STEPS(FUNCTION, CONSTANT)                                                                 \
  UNROLL for (int i = FIRST; i < FIRST + 20; i++) {                                                \
    UNROLL for (int set = 0; set < SETS; set++) {                                                  \
      VEC a = s[set][(80 - i) % 5], b = s[set][(81 - i) % 5], c = s[set][(82 - i) % 5];            \
      VEC d = s[set][(83 - i) % 5], e = s[set][(84 - i) % 5];                                      \
      VEC *w = words[set];                                                                         \
      if (i >= 16) {                                                                               \
        VEC mixed = OPERATION(XOR3)(w[i & 15], w[(i + 2) & 15], w[(i + 8) & 15]) ^                 \
                    w[(i + 13) & 15];                                                              \
        w[i & 15] = OPERATION(ROTATE)(mixed, 1);                                                   \
      }                                                                                            \
      e += w[i & 15] + CONSTANT;                                                                   \
      e += FUNCTION;                                                                               \
      s[set][(84 - i) % 5] = e + OPERATION(ROTATE)(a, 5);                                          \
      s[set][(81 - i) % 5] = OPERATION(ROTATE)(b, 30);                                             \
    }                                                                                              \
  }
#define FIRST 0
    STEPS(OPERATION(SELECT)(b, c, d), 0x5a827999)
#undef FIRST
#define FIRST 20
    STEPS(OPERATION(XOR3)(b, c, d), 0x6ed9eba1)
#undef FIRST
#define FIRST 40
    STEPS(OPERATION(MAJORITY)(b, c, d), 0x8f1bbcdc)
#undef FIRST
#define FIRST 60
    STEPS(OPERATION(XOR3)(b, c, d), 0xca62c1d6)
#undef FIRST
#undef STEPS
    UNROLL for (int set = 0; set < SETS; set++) {
      UNROLL for (int i = 0; i < 5; i++) chain[set][i] += s[set][i];
    }
  }
  STORE_STATE(chain, 5);
}

#include "instance_end.h"
