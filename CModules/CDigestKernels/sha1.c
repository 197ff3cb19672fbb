// SHA-1 for one message in plain C, and for the lanes of every kind of vector.
#include "constants.h"
#include "engine.h"
#include "vectors.h"

#define NAME dk_sha1_portable
#define TARGET 
#define VEC uint32_t
#define LANES 1
#define SETS 1
#define OP PORTABLE
#define LOAD portable_load
#include "sha1_lanes.h"

#if defined(__x86_64__)
#define NAME dk_sha1_avx2_8
#define TARGET TARGET_AVX2
#define VEC vec8
#define LANES 8
#define SETS 1
#define OP PORTABLE
#define LOAD avx2_load
#include "sha1_lanes.h"

#define NAME dk_sha1_avx512_16
#define TARGET TARGET_AVX512
#define VEC vec16
#define LANES 16
#define SETS 1
#define OP AVX512
#define LOAD avx512_load
#include "sha1_lanes.h"
#endif
