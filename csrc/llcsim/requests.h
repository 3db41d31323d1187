/* Client requests of llcsim, and the layout of what READ writes. The same numbers
 * stand in perfcounters/simulator.py. */
#ifndef LLCSIM_REQUESTS_H
#define LLCSIM_REQUESTS_H

/* Valgrind's convention: two letters in the top bytes, here 'L', 'C'. */
#define LLCSIM_REQUEST_BASE 0x4c430000u

enum {
    LLCSIM_PING = LLCSIM_REQUEST_BASE, /* returns LLCSIM_PROTOCOL */
    LLCSIM_ON,   /* record from here on */
    LLCSIM_OFF,  /* stop recording */
    LLCSIM_ZERO, /* zero the counts; caches keep their lines */
    LLCSIM_READ, /* (address, n): write up to n 64-bit words there; returns how many */
};

#define LLCSIM_PROTOCOL 1

/* READ: instructions, reads, writes, then for each processor five words: L1d misses,
 * L2 misses, LLC references, LLC misses, LLC write-backs. */
#define LLCSIM_COMMON_WORDS 3
#define LLCSIM_PROCESSOR_WORDS 5

#endif
