// Keeps the lanes of an engine busy: a lane whose message ends takes the next one, and when there
// are no more messages the chains that are left move to a narrower engine.
#include "engine.h"

#include <string.h>

typedef struct lane {
  const uint8_t *next;
  size_t blocks;       // left at `next`
  size_t tail_blocks;  // in `tail`, to follow; 0 when `next` is already there
  size_t message;
  uint8_t tail[2 * DK_BLOCK];
} lane;

typedef struct scheduler {
  const dk_function *function;
  const dk_engine *engine;
  size_t active;
  size_t next_message;
  lane lanes[DK_LANES_MAX];
  uint32_t state[DK_WORDS_MAX * DK_LANES_MAX] __attribute__((aligned(64)));
} scheduler;

static uint32_t *word(scheduler *self, size_t word, size_t lane) {
  return &self->state[word * self->engine->word_stride + lane * self->engine->lane_stride];
}

static void start_message(scheduler *self, const dk_source *source, size_t index) {
  size_t message = self->next_message++;
  const uint8_t *bytes;
  size_t count;
  if (source->messages) {
    bytes = source->messages[message].bytes;
    count = source->messages[message].count;
  } else {
    size_t offset = message * source->part;
    size_t left = source->byte_count - offset;
    bytes = source->bytes + offset;
    count = left < source->part ? left : source->part;
  }

  lane *lane = &self->lanes[index];
  size_t whole = count / DK_BLOCK;
  lane->message = message;
  lane->tail_blocks =
      dk_pad(self->function, whole ? bytes + whole * DK_BLOCK : bytes, count, lane->tail);
  lane->next = bytes;
  lane->blocks = whole;
  if (whole == 0) {
    lane->next = lane->tail;
    lane->blocks = lane->tail_blocks;
    lane->tail_blocks = 0;
  }
  for (size_t i = 0; i < self->function->words; i++)
    *word(self, i, index) = self->function->start[i];
}

// The last lane takes the place of the one at `index`, so that active lanes stay together.
static void remove_lane(scheduler *self, size_t index) {
  size_t last = --self->active;
  if (index == last) return;
  bool in_tail = self->lanes[last].tail_blocks == 0;
  size_t done = in_tail ? (size_t)(self->lanes[last].next - self->lanes[last].tail) : 0;
  self->lanes[index] = self->lanes[last];
  if (in_tail) self->lanes[index].next = self->lanes[index].tail + done;
  for (size_t i = 0; i < self->function->words; i++)
    *word(self, i, index) = *word(self, i, last);
}

static void narrow(scheduler *self) {
  while (self->active <= self->engine->yields_at) {
    uint32_t moved[DK_WORDS_MAX * DK_LANES_MAX];
    const dk_engine *next = self->engine + 1;
    for (size_t lane = 0; lane < self->active; lane++)
      for (size_t i = 0; i < self->function->words; i++)
        moved[i * next->word_stride + lane * next->lane_stride] = *word(self, i, lane);
    self->engine = next;
    for (size_t lane = 0; lane < self->active; lane++)
      for (size_t i = 0; i < self->function->words; i++)
        *word(self, i, lane) = moved[i * next->word_stride + lane * next->lane_stride];
  }
}

// Advances all lanes by the blocks that each of them has in one stretch.
static size_t advance(scheduler *self) {
  const uint8_t *pointers[DK_LANES_MAX];
  size_t blocks = self->lanes[0].blocks;
  for (size_t i = 0; i < self->active; i++) {
    pointers[i] = self->lanes[i].next;
    if (self->lanes[i].blocks < blocks) blocks = self->lanes[i].blocks;
  }
  // Idle lanes hash what the first one hashes; nobody reads their state.
  for (size_t i = self->active; i < self->engine->lanes; i++) pointers[i] = pointers[0];
  self->engine->compress(self->state, pointers, self->active, blocks);
  return blocks;
}

void dk_run_lanes(const dk_function *function, const dk_engine *engines, const dk_source *source,
                  uint8_t *digests) {
  scheduler self;
  self.function = function;
  self.engine = engines;
  self.active = 0;
  self.next_message = 0;
  size_t digest_size = function->words * sizeof(uint32_t);
  // Messages that never fill a wide engine begin on a narrower one.
  while (source->count <= self.engine->yields_at) self.engine++;

  for (;;) {
    while (self.active < self.engine->lanes && self.next_message < source->count)
      start_message(&self, source, self.active++);
    if (self.active == 0) return;
    if (self.next_message == source->count) narrow(&self);

    size_t blocks = advance(&self);
    // From the last to the first: the lane that replaces a finished one has been looked at.
    for (size_t i = self.active; i-- > 0;) {
      lane *lane = &self.lanes[i];
      lane->next += blocks * DK_BLOCK;
      lane->blocks -= blocks;
      if (lane->blocks > 0) continue;
      if (lane->tail_blocks > 0) {
        lane->next = lane->tail;
        lane->blocks = lane->tail_blocks;
        lane->tail_blocks = 0;
        continue;
      }
      dk_write_digest(function, word(&self, 0, i), self.engine->word_stride,
                      digests + lane->message * digest_size);
      if (self.next_message < source->count) start_message(&self, source, i);
      else remove_lane(&self, i);
    }
  }
}
