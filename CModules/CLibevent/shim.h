#pragma once
// Before libevent, whose configuration defines _GNU_SOURCE: the C library's types must look the same
// in every module.
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <event2/event.h>
#include <event2/event_struct.h>

// EVLOOP_* are plain macros, EV_* too: typed here as the calls take them.
static const short spate_ev_read = EV_READ;
static const short spate_ev_write = EV_WRITE;
static const short spate_ev_persist = EV_PERSIST;

// One turn: wait for something unless `waits` is 0, run its callbacks, return.
static inline int spate_turn(struct event_base *base, int waits) {
  return event_base_loop(
      base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY | (waits ? 0 : EVLOOP_NONBLOCK));
}

// A base without locks: one thread uses it. The enumeration is not an option set in Swift.
static inline struct event_base *spate_base_new(void) {
  struct event_config *config = event_config_new();
  if (!config) return 0;
  struct event_base *base = 0;
  if (event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV) == 0 &&
      event_config_require_features(config, EV_FEATURE_O1) == 0)
    base = event_base_new_with_config(config);
  event_config_free(config);
  return base;
}

// Whether an event is added: event_pending(3) without a timeout's arithmetic. The flag is a macro.
static inline int spate_event_is_added(const struct event *event) {
  return event->ev_evcallback.evcb_flags & EVLIST_INSERTED;
}

// event_add(3) with a timeout in microseconds; below zero for none.
static inline int spate_event_add(struct event *event, long long microseconds) {
  if (microseconds < 0) return event_add(event, 0);
  struct timeval timeout = {(time_t)(microseconds / 1000000),
                            (suseconds_t)(microseconds % 1000000)};
  return event_add(event, &timeout);
}
