/* The cache model: private L1d and L2 for each thread, shared last-level caches.
 *
 * Independent of Valgrind, so that it can be tested alone: it is fed recorded
 * accesses and asked for counts. All caches are set-associative with true LRU,
 * write-allocate and write-back, with 64-byte lines, and neither inclusive nor
 * exclusive. A write-back marks the line dirty where the next level holds it and
 * otherwise goes on towards memory; it allocates nothing and does not count as a
 * use of the line.
 */
#ifndef LLCSIM_CACHE_H
#define LLCSIM_CACHE_H

#include <stdint.h>

#define LINE_BITS 6
#define LINE_SIZE (1u << LINE_BITS)
#define MAX_PROCESSORS 16

/* A recorded access: address in bits 0-55, size in bytes in bits 56-62, and
 * whether it writes in bit 63. A whole entry of 0 is an access that did not take
 * place (a false guard). An access of more than 64 bytes is recorded in parts. */
#define ENTRY_SIZE_SHIFT 56
#define ENTRY_WRITE (UINT64_C(1) << 63)
#define ENTRY_ADDRESS_MASK ((UINT64_C(1) << ENTRY_SIZE_SHIFT) - 1)

typedef struct {
    uint64_t sets;
    uint32_t ways; /* 0: this level does not exist */
} Geometry;

typedef struct {
    Geometry l1d, l2, llc;
} Processor;

typedef struct {
    uint64_t l1d_misses;
    uint64_t l2_misses;
    uint64_t llc_references;
    uint64_t llc_misses;
    uint64_t llc_writebacks; /* dirty lines that reached memory */
} CacheCounts;

/* Returns zeroed memory that is never freed. */
typedef void *(*Allocate)(uint64_t bytes);

/* Set up `n` modelled processors, once. Processors with the same L1d and L2 share
 * the model of these. */
void cache_configure(const Processor *processors, unsigned n, unsigned max_threads,
                     Allocate allocate);

/* Accesses from now on are those of this thread (0 to max_threads - 1). */
void cache_set_thread(unsigned thread);

/* Run the accesses in [first, last) through the model, in order. */
void cache_consume(const uint64_t *first, const uint64_t *last);

void cache_zero_counts(void);
void cache_read(unsigned processor, CacheCounts *counts);
void cache_read_accesses(uint64_t *reads, uint64_t *writes);

#endif
