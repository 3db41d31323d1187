/* Caches of which the last level acts back on the private ones: inclusive and
 * exclusive LLCs. They are simulated access by access. */
#ifndef LLCSIM_COUPLED_H
#define LLCSIM_COUPLED_H

#include "batch.h"

/* The private caches of one thread. */
typedef struct {
    Level l1d, l2; /* l2.ways == 0: none */
    Filter filter;
} Private;

typedef struct {
    Processor processor;
    Private **privates; /* by thread; NULL: it has made no access yet */
    unsigned n_threads;
    uint64_t filter_mask;
    Level llc;
    Curve *curve; /* or NULL */
    CacheCounts counts;
} Coupled;

void coupled_consume(Coupled *c, Private *own, const Batch *batch, const uint64_t *first,
                     const uint64_t *last);

#endif
