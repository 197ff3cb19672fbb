// SHA-256 over lanes (FIPS 180-4, 6.2.2). Included once for each kind of vector; see md5_lanes.h.
#include "instance.h"

#define TURN(x, n) OPERATION(ROTATE)(x, 32 - (n))

TARGET void NAME(uint32_t *state, const uint8_t *const *lanes, size_t active, size_t blocks) {
  (void)active;
  VEC chain[SETS][8];
  LOAD_STATE(chain, 8);
  for (size_t offset = 0; offset < blocks * 64; offset += 64) {
    VEC words[SETS][16], s[SETS][8];
    UNROLL for (int set = 0; set < SETS; set++) {
      LOAD(words[set], lanes + set * LANES, offset, 1);
      UNROLL for (int i = 0; i < 8; i++) s[set][i] = chain[set][i];
    }
    // Step i works on the chain turned by i places: its a is s[-i], its h s[7 - i].
    UNROLL for (int i = 0; i < 64; i++) {
      UNROLL for (int set = 0; set < SETS; set++) {
        VEC a = s[set][(64 - i) & 7], b = s[set][(65 - i) & 7], c = s[set][(66 - i) & 7];
        VEC e = s[set][(68 - i) & 7], f = s[set][(69 - i) & 7], g = s[set][(70 - i) & 7];
        VEC h = s[set][(71 - i) & 7];
        VEC *w = words[set];
        if (i >= 16) {
          VEC early = w[(i + 1) & 15], late = w[(i + 14) & 15];
          w[i & 15] += w[(i + 9) & 15];
          w[i & 15] += OPERATION(XOR3)(TURN(early, 7), TURN(early, 18), early >> 3);
          w[i & 15] += OPERATION(XOR3)(TURN(late, 17), TURN(late, 19), late >> 10);
        }
        h += w[i & 15] + sha256_roots[i];
        h += OPERATION(SELECT)(e, f, g);
        h += OPERATION(XOR3)(TURN(e, 6), TURN(e, 11), TURN(e, 25));
        s[set][(67 - i) & 7] += h;
        h += OPERATION(MAJORITY)(a, b, c);
        h += OPERATION(XOR3)(TURN(a, 2), TURN(a, 13), TURN(a, 22));
        s[set][(71 - i) & 7] = h;
      }
    }
    UNROLL for (int set = 0; set < SETS; set++) {
      UNROLL for (int i = 0; i < 8; i++) chain[set][i] += s[set][i];
    }
  }
  STORE_STATE(chain, 8);
}

#undef TURN
#include "instance_end.h"
