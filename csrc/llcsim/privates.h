/* The private caches that the threads have before one LLC, kept coherent. */
#ifndef LLCSIM_PRIVATES_H
#define LLCSIM_PRIVATES_H

#include "batch.h"

typedef struct {
    Level l1d, l2; /* l2.ways == 0: none */
    Level taken;   /* lines that others' writes took and that were not had since, shaped as the last */
    Level prefetched; /* lines of the last level that were prefetched and not used; ways == 0: none */
    Filter filter;
    int active; /* it has made an access */
} Private;

/* What a search found: line << 33 | turn << 1 | whether another thread holds the line. It holds for
 * that turn of a thread, in which nobody else makes an access. */
typedef uint64_t Found;
#define FOUND_LINES (1u << 14)

typedef struct {
    Geometry l1d, l2;
    int prefetched; /* whether that is remembered */
    Private **of_thread; /* NULL: there is no such thread yet */
    Private **active;    /* those that have made an access */
    unsigned n_active;
    uint32_t turn;
    Found *found; /* by line modulo FOUND_LINES */
} Privates;

INLINE Level *last_level(Private *own)
{
    return own->l2.ways != 0 ? &own->l2 : &own->l1d;
}

void privates_init(Privates *p, const Processor *processor, unsigned max_threads,
                   Allocate allocate);
void privates_add(Privates *p, unsigned thread, Allocate allocate);

/* The caches of a thread that is about to make an access. */
Private *privates_enter(Privates *p, unsigned thread);

INLINE int privates_shared(const Privates *p)
{
    return p->n_active > 1;
}

INLINE Found *found_place(const Privates *p, uint64_t line)
{
    return &p->found[line % FOUND_LINES];
}

Event privates_search(Privates *p, const Private *own, Event event);

/* What an access of a thread does to the caches of others: a write takes its line out of them.
 * Returns the event, SHARED if another one holds or held the line; a non-temporal store
 * as WRITE if a copy that it took was dirty. */
INLINE Event privates_snoop(Privates *p, const Private *own, Event event)
{
    const uint64_t line = event >> EVENT_BITS;
    const Found found = *found_place(p, line);

    if (found >> 1 != (line << 32 | p->turn) ||
        ((found & 1) != 0 && (event & (WRITE | NON_TEMPORAL)) != 0))
        return privates_search(p, own, event);
    return event | (found & 1) * SHARED;
}

/* Take a line out of a thread's caches; returns the slots' bits, 0 if it was not there. */
Slot private_remove(Private *p, uint64_t line);

#endif
