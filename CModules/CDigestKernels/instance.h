// What the lane templates have in common; undone by instance_end.h. No `#pragma once`: every
// instance includes it anew.
#define UNROLL _Pragma("clang loop unroll(full)")
#define JOIN_NAMES(a, b) a##_##b
#define JOIN(a, b) JOIN_NAMES(a, b)
#define OPERATION(name) JOIN(OP, name)

// The state of a vector engine: word by word, in each the lanes of all sets.
#define LOAD_STATE(chain, words)                                                                  \
  for (int set = 0; set < SETS; set++)                                                             \
    for (int i = 0; i < (words); i++)                                                              \
      memcpy(&chain[set][i], state + (i * SETS + set) * LANES, sizeof(VEC))
#define STORE_STATE(chain, words)                                                                 \
  for (int set = 0; set < SETS; set++)                                                             \
    for (int i = 0; i < (words); i++)                                                              \
      memcpy(state + (i * SETS + set) * LANES, &chain[set][i], sizeof(VEC))

// Keeps the compiler from reordering the sums around `x`: it would put more of them behind the
// value that the chain waits for.
#if LANES == 1
#define SETTLE(x) __asm__("" : "+r"(x))
#else
#define SETTLE(x) __asm__("" : "+v"(x))
#endif
