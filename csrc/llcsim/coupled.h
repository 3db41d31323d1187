/* Caches that are simulated access by access: where the last level acts back on the private
 * ones (inclusive and exclusive LLCs), and with a prefetcher. */
#ifndef LLCSIM_COUPLED_H
#define LLCSIM_COUPLED_H

#include "privates.h"

typedef struct {
    Processor processor;
    Privates privates;
    uint64_t filter_mask;
    Level llc;
    Curve *curve; /* or NULL */
    CacheCounts counts;
} Coupled;

void coupled_consume(Coupled *c, unsigned thread, const Batch *batch, const uint64_t *entries,
                     unsigned n);

#endif
