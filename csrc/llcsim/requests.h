/* Client requests of llcsim, and the layout of what READ writes. The same numbers
 * stand in perfcounters/simulator.py. */
#ifndef LLCSIM_REQUESTS_H
#define LLCSIM_REQUESTS_H

/* Valgrind's convention: two letters in the top bytes, here 'L', 'C'. */
#define LLCSIM_REQUEST_BASE 0x4c430000u

enum {
    LLCSIM_PING = LLCSIM_REQUEST_BASE, /* returns LLCSIM_PROTOCOL */
    LLCSIM_ON,   /* record from here on; returns 2 if it did already, else 1 */
    LLCSIM_OFF,  /* stop recording; returns the same */
    LLCSIM_ZERO, /* zero the counts; caches keep their lines */
    LLCSIM_READ, /* (address, n): write up to n 64-bit words there; returns how many */
    LLCSIM_RANGES, /* (address, n): count LLC misses apart in n ranges, three words each: first
                    * address, the one after the last, label (1 or 2); returns 0 if refused */
};

#define LLCSIM_PROTOCOL 5

/* READ: instructions, reads, writes, non-temporal stores and their bytes; for each
 * processor eleven words: L1d misses, L2 misses, LLC references, LLC misses, LLC
 * write-backs, LLC misses in ranges of label 1 and 2, coherence misses, LLC prefetches, those
 * of them that missed, useful prefetches. With --curve=yes, for each processor the misses of
 * an LRU LLC with its sets and 1, 2 ... LLCSIM_CURVE_WAYS ways. */
#define LLCSIM_COMMON_WORDS 5
#define LLCSIM_PROCESSOR_WORDS 11
#define LLCSIM_CURVE_WAYS 64

#endif
