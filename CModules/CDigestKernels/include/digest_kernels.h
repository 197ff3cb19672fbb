// MD5 (RFC 1321), SHA-1 and SHA-256 (FIPS 180-4) of many messages at once.
//
// A hash function is one long chain of dependent operations, so a core that works on one message
// idles most of the time. These kernels advance several messages together: as the lanes of a vector
// register, or as instruction streams woven into each other. All of them are compiled into every
// x86-64 build and chosen by what the processor has; elsewhere only the portable one exists.
//
// No call allocates, fails or keeps state; any thread may make any call at any time.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum dk_algorithm { DK_MD5, DK_SHA1, DK_SHA256 } dk_algorithm;

// The bytes of a digest: 16, 20 or 32.
size_t dk_digest_size(dk_algorithm algorithm);

typedef enum dk_kernel {
  DK_PORTABLE,  // one message at a time, plain C
  DK_SHA,       // the SHA instructions, several messages woven
  DK_AVX2,      // 8 messages in a vector; 16 in two woven vectors where that gains
  DK_AVX512,    // 16 messages in a vector; 32 in two woven vectors where that gains
  DK_BEST,      // the fastest of the above for each number of messages in flight
} dk_kernel;

// Whether `kernel` exists for `algorithm` and this processor can run it.
bool dk_runs(dk_algorithm algorithm, dk_kernel kernel);

// Whether DK_BEST is more than the portable kernel on this processor.
bool dk_has_lanes(dk_algorithm algorithm);

// A message of `count` bytes at any address.
typedef struct dk_message {
  const void *bytes;
  size_t count;
} dk_message;

// Writes the digests of `count` messages, of any lengths, one behind the other to `digests`. A lane
// whose message ends takes the next one. `kernel` must run here (`dk_runs`).
void dk_digest(dk_algorithm algorithm, dk_kernel kernel, const dk_message *messages, size_t count,
               uint8_t *digests);

// The same for the consecutive parts of `part` bytes that `bytes` is made of, the last of which may
// be shorter: ceil(count / part) digests.
void dk_digest_parts(dk_algorithm algorithm, dk_kernel kernel, const void *bytes, size_t count,
                     size_t part, uint8_t *digests);

// The three chains that run along a package: MD5 and SHA-256 of the file, and SHA-256 of the
// current 16 KiB leaf. Words are as the standards name them: A first.
typedef struct dk_chains {
  uint32_t md5[4];
  uint32_t sha256[8];
  uint32_t leaf[8];
} dk_chains;

// Whether `dk_chains_advance` exists on this processor (it needs the SHA instructions).
bool dk_chains_run(void);

// Sets the file's chains to their beginning.
void dk_chains_begin(dk_chains *chains);

// Sets the leaf's chain to its beginning.
void dk_chains_begin_leaf(dk_chains *chains);

// Advances all three chains over `blocks` blocks of 64 bytes, woven: MD5's chain is the slowest and
// the other two fit in its idle slots.
void dk_chains_advance(dk_chains *chains, const uint8_t *bytes, size_t blocks);

// Ends the leaf's chain, which has taken `count` bytes in all, the last `count % 64` of which are
// at `rest`, and writes its 32 bytes to `digest`.
void dk_chains_end_leaf(dk_chains *chains, const uint8_t *rest, uint64_t count, uint8_t *digest);

// Ends the file's chains in the same way: 32 bytes to `sha256`, 16 to `md5`.
void dk_chains_end(dk_chains *chains, const uint8_t *rest, uint64_t count, uint8_t *sha256,
                   uint8_t *md5);
