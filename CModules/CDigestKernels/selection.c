// Which engines each kernel is made of, and which of them this processor runs.
#include "engine.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

typedef enum feature { HAS_NOTHING, HAS_SHA, HAS_AVX2, HAS_AVX512 } feature;

#if defined(__x86_64__)
static bool has_sha_instructions(void) {
  unsigned a, b, c, d;
  return __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("sse4.1") &&
         __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 29 & 1);
}

static bool runs(feature feature) {
  // `cpuid` leaves a virtual machine for its host, so it is asked once. Threads that race here
  // write the same answer.
  static _Atomic int sha_instructions = -1;
  switch (feature) {
    case HAS_NOTHING: return true;
    case HAS_SHA:
      if (sha_instructions < 0) sha_instructions = has_sha_instructions();
      return sha_instructions;
    case HAS_AVX2: return __builtin_cpu_supports("avx2");
    case HAS_AVX512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512vl");
  }
  return false;
}
#endif

#define PORTABLE(name) {dk_##name##_portable, 1, 0, DK_SCALAR_STATE}
#define VECTOR(name, kind, lanes, yields) \
  {dk_##name##_##kind##_##lanes, lanes, yields, DK_VECTOR_STATE(lanes)}
// The SHA instructions take any number of chains; few keep the stretches long.
#define NI(name, lanes, yields) {dk_##name##_ni, lanes, yields, DK_SCALAR_STATE}

static const dk_engine md5_portable[] = {PORTABLE(md5)};
static const dk_engine sha1_portable[] = {PORTABLE(sha1)};
static const dk_engine sha256_portable[] = {PORTABLE(sha256)};

#if defined(__x86_64__)
static const dk_engine md5_avx2[] = {VECTOR(md5, avx2, 16, 8), VECTOR(md5, avx2, 8, 0)};
static const dk_engine md5_avx2_best[] = {VECTOR(md5, avx2, 16, 8), VECTOR(md5, avx2, 8, 1),
                                          PORTABLE(md5)};
static const dk_engine md5_avx512[] = {VECTOR(md5, avx512, 32, 16), VECTOR(md5, avx512, 16, 0)};
static const dk_engine md5_avx512_best[] = {VECTOR(md5, avx512, 32, 16),
                                            VECTOR(md5, avx512, 16, 1), PORTABLE(md5)};

static const dk_engine sha1_ni[] = {NI(sha1, 4, 0)};
static const dk_engine sha1_avx2[] = {VECTOR(sha1, avx2, 8, 0)};
static const dk_engine sha1_avx2_best[] = {VECTOR(sha1, avx2, 8, 1), PORTABLE(sha1)};
static const dk_engine sha1_avx512[] = {VECTOR(sha1, avx512, 16, 0)};
static const dk_engine sha1_avx512_best[] = {VECTOR(sha1, avx512, 16, 7), NI(sha1, 16, 0)};

static const dk_engine sha256_ni[] = {NI(sha256, 4, 0)};
static const dk_engine sha256_avx2[] = {VECTOR(sha256, avx2, 8, 0)};
static const dk_engine sha256_avx2_best[] = {VECTOR(sha256, avx2, 8, 1), PORTABLE(sha256)};
static const dk_engine sha256_avx512[] = {VECTOR(sha256, avx512, 16, 0)};
static const dk_engine sha256_avx512_best[] = {VECTOR(sha256, avx512, 16, 9), NI(sha256, 16, 0)};
#endif

typedef struct kernel {
  feature needs, needs_too;
  const dk_engine *engines;
} kernel;

static const kernel portable_kernels[3] = {[DK_MD5] = {.engines = md5_portable},
                                           [DK_SHA1] = {.engines = sha1_portable},
                                           [DK_SHA256] = {.engines = sha256_portable}};

#if defined(__x86_64__)
static const kernel kernels[3][DK_BEST] = {
    [DK_MD5] = {[DK_AVX2] = {HAS_AVX2, HAS_NOTHING, md5_avx2},
                [DK_AVX512] = {HAS_AVX512, HAS_NOTHING, md5_avx512}},
    [DK_SHA1] = {[DK_SHA] = {HAS_SHA, HAS_NOTHING, sha1_ni},
                 [DK_AVX2] = {HAS_AVX2, HAS_NOTHING, sha1_avx2},
                 [DK_AVX512] = {HAS_AVX512, HAS_NOTHING, sha1_avx512}},
    [DK_SHA256] = {[DK_SHA] = {HAS_SHA, HAS_NOTHING, sha256_ni},
                   [DK_AVX2] = {HAS_AVX2, HAS_NOTHING, sha256_avx2},
                   [DK_AVX512] = {HAS_AVX512, HAS_NOTHING, sha256_avx512}},
};

// Candidates for DK_BEST, the best first.
static const kernel best_kernels[3][4] = {
    [DK_MD5] = {{HAS_AVX512, HAS_NOTHING, md5_avx512_best}, {HAS_AVX2, HAS_NOTHING, md5_avx2_best}},
    [DK_SHA1] = {{HAS_AVX512, HAS_SHA, sha1_avx512_best},
                 {HAS_SHA, HAS_NOTHING, sha1_ni},
                 {HAS_AVX512, HAS_NOTHING, sha1_avx512},
                 {HAS_AVX2, HAS_NOTHING, sha1_avx2_best}},
    [DK_SHA256] = {{HAS_AVX512, HAS_SHA, sha256_avx512_best},
                   {HAS_SHA, HAS_NOTHING, sha256_ni},
                   {HAS_AVX512, HAS_NOTHING, sha256_avx512},
                   {HAS_AVX2, HAS_NOTHING, sha256_avx2_best}},
};
#endif

// Null when the kernel does not exist or does not run here.
static const dk_engine *engines(dk_algorithm algorithm, dk_kernel kernel) {
  if (kernel == DK_PORTABLE) return portable_kernels[algorithm].engines;
#if defined(__x86_64__)
  if (kernel == DK_BEST) {
    for (int i = 0; i < 4 && best_kernels[algorithm][i].engines; i++)
      if (runs(best_kernels[algorithm][i].needs) && runs(best_kernels[algorithm][i].needs_too))
        return best_kernels[algorithm][i].engines;
  } else if (runs(kernels[algorithm][kernel].needs)) {
    return kernels[algorithm][kernel].engines;
  }
#endif
  return kernel == DK_BEST ? portable_kernels[algorithm].engines : 0;
}

bool dk_runs(dk_algorithm algorithm, dk_kernel kernel) { return engines(algorithm, kernel) != 0; }

bool dk_has_lanes(dk_algorithm algorithm) {
  return engines(algorithm, DK_BEST) != portable_kernels[algorithm].engines;
}

void dk_digest(dk_algorithm algorithm, dk_kernel kernel, const dk_message *messages, size_t count,
               uint8_t *digests) {
  const dk_source source = {.messages = messages, .count = count};
  if (count == 0) return;
  dk_run_lanes(&dk_functions[algorithm], engines(algorithm, kernel), &source, digests);
}

void dk_digest_parts(dk_algorithm algorithm, dk_kernel kernel, const void *bytes, size_t count,
                     size_t part, uint8_t *digests) {
  const dk_source source = {.bytes = bytes,
                            .byte_count = count,
                            .part = part,
                            .count = count / part + (count % part > 0)};
  if (count == 0) return;
  dk_run_lanes(&dk_functions[algorithm], engines(algorithm, kernel), &source, digests);
}
