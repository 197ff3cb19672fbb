// MD5 over lanes (RFC 1321, 3.4). Included once for each kind of vector, with
//   NAME     the function to define          TARGET  the processor it is compiled for
//   VEC      the vector, LANES words wide    SETS    how many vectors are woven
//   OP       prefix of its operations        LOAD    how to get a block of its lanes
#include "instance.h"

TARGET void NAME(uint32_t *state, const uint8_t *const *lanes, size_t active, size_t blocks) {
  (void)active;
  VEC chain[SETS][4];
  LOAD_STATE(chain, 4);
  for (size_t offset = 0; offset < blocks * 64; offset += 64) {
    VEC words[SETS][16], s[SETS][4];
    UNROLL for (int set = 0; set < SETS; set++) {
      LOAD(words[set], lanes + set * LANES, offset, 0);
      UNROLL for (int i = 0; i < 4; i++) s[set][i] = chain[set][i];
    }
    // Step i works on the chain turned by i places: its A is s[-i], its B s[1 - i], and so on.
#define STEP(FUNCTION, INDEX)                                                                     \
  UNROLL for (int i = 0; i < 16; i++) {                                                            \
    UNROLL for (int set = 0; set < SETS; set++) {                                                  \
      VEC b = s[set][(17 - i) & 3], c = s[set][(18 - i) & 3], d = s[set][(19 - i) & 3];            \
      VEC a = s[set][(16 - i) & 3] + (words[set][(INDEX) & 15] + md5_sines[16 * ROUND + i]);       \
      SETTLE(a);                                                                                   \
      a += FUNCTION;                                                                               \
      s[set][(16 - i) & 3] = b + OPERATION(ROTATE)(a, md5_rotations[ROUND][i & 3]);                \
    }                                                                                              \
  }
#define ROUND 0
    STEP(OPERATION(SELECT)(b, c, d), i)
#undef ROUND
#define ROUND 1
    STEP(OPERATION(MD5_G)(b, c, d), 5 * i + 1)
#undef ROUND
#define ROUND 2
    STEP(OPERATION(XOR3)(b, c, d), 3 * i + 5)
#undef ROUND
#define ROUND 3
    STEP(OPERATION(MD5_I)(b, c, d), 7 * i)
#undef ROUND
#undef STEP
    UNROLL for (int set = 0; set < SETS; set++) {
      UNROLL for (int i = 0; i < 4; i++) chain[set][i] += s[set][i];
    }
  }
  STORE_STATE(chain, 4);
}

#include "instance_end.h"
