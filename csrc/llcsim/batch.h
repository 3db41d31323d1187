/* Many events through one level at a time, which is exact where no level acts back on
 * those before it. Two builds of the same code, of which the processor's best runs. */
#ifndef LLCSIM_BATCH_H
#define LLCSIM_BATCH_H

#include "level.h"
#include "shape.h"

/* Accesses that go through the levels together, at most. Each level passes on two events for
 * one at most. */
#define CHUNK 1024

/* The latest line of each set of a cache with few sets: an access to it changes nothing
 * in any L1d whose sets are a multiple of these. Kept as its event; NO_LINE is none. */
#define MAX_FILTER_SETS 64
#define NO_LINE (~(Event)0)
typedef struct {
    Event latest[MAX_FILTER_SETS];
} Filter;

INLINE void filter_clear(Filter *filter)
{
    for (unsigned i = 0; i < MAX_FILTER_SETS; i++)
        filter->latest[i] = NO_LINE;
}

/* LRU stacks: of each set the CURVE_WAYS lines used last, latest first. */
typedef struct {
    Slot *lines;
    uint64_t sets, mask;
    int holed; /* whether a line was ever taken out */
    uint64_t references;
    uint64_t hits[CURVE_WAYS]; /* by position in the stack */
} Curve;

INLINE Slot *curve_stack(const Curve *curve, uint64_t line)
{
    return curve->lines + CURVE_WAYS * (curve->mask != 0 ? line & curve->mask : line % curve->sets);
}

/* Entries that are looked at together. */
#define GROUP 8
typedef uint64_t Words __attribute__((vector_size(8 * GROUP), aligned(8), may_alias));

typedef struct {
    uint64_t misses;     /* DEMAND events that a level passed on */
    uint64_t writebacks; /* dirty lines that it passed on */
} Passed;

typedef struct {
    /* Turn runs (shape.h), from *words on, into entries, until there is a chunk of them or all are
     * done; returns how many. */
    unsigned (*expand)(const uint64_t **words, const uint64_t *last, AccessCounts *counts,
                       uint64_t entries[CHUNK]);
    /* Turn entries into events, leaving out repeats; returns how many (two an entry at most). */
    unsigned (*filter)(Filter *filter, uint64_t mask, const uint64_t *entries, unsigned n, Event *out);
    /* Run events through a level; returns how many go on (two an event at most). */
    unsigned (*pass)(Level *level, const Event *in, unsigned n, Event *out, Passed *passed);
    void (*stack)(Curve *curve, const Event *in, unsigned n);
} Batch;

extern const Batch batch_plain, batch_avx2;

#endif
