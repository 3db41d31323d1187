/* Work whose counts are known beforehand, to check counters against. */
#ifndef FORMFN_KNOWN_WORK_H
#define FORMFN_KNOWN_WORK_H

#include <stddef.h>
#include <stdint.h>

/* Execute 2n instructions in a loop, plus a constant of a few; 0 where no loop is
 * written for this processor. n must not be 0. */
uint64_t work_instructions(uint64_t n);

/* Map `pages` fresh small pages (MADV_NOHUGEPAGE), write a byte to each, unmap: as
 * many page faults. Returns 0 or -errno. */
int work_page_faults(size_t pages);

/* Tie the n lines of `line` bytes at `memory` into one random cycle. */
void work_tie_cycle(void *memory, size_t n, size_t line, uint64_t seed);

/* Follow the cycle from `start`, `steps` dependent loads, and say where it ends. */
void *work_walk(void *start, uint64_t steps);

/* Drop the lines of `bytes` bytes at `memory` from all caches; 0 where no
 * instruction for that is written for this processor. */
int work_flush(const void *memory, size_t bytes, size_t line);

#endif
