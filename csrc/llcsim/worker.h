/* Runs recorded accesses through the cache model: on a thread of the tool's own where
 * another processor is free for it, else at once. The counts are the same. */
#ifndef LLCSIM_WORKER_H
#define LLCSIM_WORKER_H

#include "pub_tool_basics.h"

/* A buffer fits in a small L2. */
#define BUFFER_WORDS 16384

/* Whether there may be a thread; to be said before anything is handed over. */
void worker_allow(Bool thread);

/* The buffer to fill. */
ULong *worker_buffer(void);

/* Hand over what stands in it up to `end`, accesses of this client thread, and get the
 * next one to fill. */
ULong *worker_hand_over(const ULong *end, UInt client_thread);

/* Wait until the model has seen all. */
void worker_drain(void);

#endif
