/* Ranges of addresses whose LLC misses are counted apart. */
#ifndef LLCSIM_RANGES_H
#define LLCSIM_RANGES_H

#include "cache.h"

/* The label of the range that holds the first byte of this line or, if none does, any
 * other byte of it; 0 for no range. */
unsigned range_label(uint64_t line);

/* Nonzero where there are ranges at all. */
extern unsigned range_count;

#endif
