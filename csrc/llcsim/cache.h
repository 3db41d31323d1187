/* The cache model: private L1d and L2 for each thread, shared last-level caches.
 *
 * Independent of Valgrind, so that it can be tested alone: it is fed recorded
 * accesses and asked for counts. All caches are set-associative, write-allocate and
 * write-back, with 64-byte lines.
 *
 * A write takes its line out of the private caches of all other threads; a dirty copy's
 * data is then the writer's. A reader leaves a dirty copy where it is, to be written back
 * from there. A line that another thread's caches hold, or held until this write, is not
 * read from memory where the LLC misses it.
 *
 * Where nothing else is said (NON_INCLUSIVE), levels are neither inclusive nor
 * exclusive: a write-back marks the line dirty where the next level holds it and
 * otherwise goes on towards memory; it allocates nothing and does not count as a use
 * of the line. A line evicted from an INCLUSIVE LLC leaves all private caches too.
 * An EXCLUSIVE LLC holds what the last private level evicted, clean or dirty; a hit
 * takes the line out of it; L2 includes L1d there.
 *
 * A non-temporal store takes its line out of all caches, which write it back if it was
 * dirty, and counts as no miss.
 *
 * With `next_line`, a miss of the last private level has the next line fetched into that
 * level too, from wherever it is, if it is in the same page and not there.
 */
#ifndef LLCSIM_CACHE_H
#define LLCSIM_CACHE_H

#include <stdint.h>

#define LINE_BITS 6
#define LINE_SIZE (1u << LINE_BITS)
#define PAGE_LINES (4096 / LINE_SIZE)
#define MAX_PROCESSORS 16
#define CURVE_WAYS 64
#define MAX_RANGES 65536
#define RANGE_LABELS 2

/* Addresses that are told apart are below this: more than Valgrind gives out. */
#define MAX_ADDRESS (UINT64_C(1) << 37)

/* An access: address in bits 0-54, whether it writes in bit 55, size in bytes, 64 at most, in
 * bits 56-63. A non-temporal store has ENTRY_NON_TEMPORAL added to its size. */
#define ENTRY_SIZE_SHIFT 56
#define ENTRY_WRITE (UINT64_C(1) << 55)
#define ENTRY_ADDRESS_MASK (ENTRY_WRITE - 1)
#define ENTRY_NON_TEMPORAL 128

typedef enum {
    LRU,
    TREE_PLRU, /* ways are a power of two, 64 at most */
} Policy;

typedef enum { NON_INCLUSIVE, INCLUSIVE, EXCLUSIVE } Inclusion;

typedef struct {
    uint64_t sets;
    uint32_t ways; /* 0: this level does not exist */
    Policy policy;
} Geometry;

typedef struct {
    Geometry l1d, l2, llc;
    Inclusion inclusion; /* of the LLC */
    int next_line;       /* whether there is a prefetcher */
} Processor;

typedef struct {
    uint64_t l1d_misses;
    uint64_t l2_misses;
    uint64_t llc_references;
    uint64_t llc_misses;
    uint64_t llc_writebacks; /* dirty lines that reached memory */
    uint64_t labelled[RANGE_LABELS]; /* LLC misses in the ranges of label 1, 2 ... */
    uint64_t coherence_misses; /* LLC references to lines that a write of another thread took
                                * out of this one's caches and that it did not have since */
    uint64_t llc_prefetches;
    uint64_t llc_prefetch_misses; /* of these, lines that were read from memory */
    uint64_t useful_prefetches;   /* that an access found where they were put */
} CacheCounts;

/* Addresses from `first` to before `end`. */
typedef struct {
    uint64_t first, end, label;
} AddressRange;

typedef struct {
    uint64_t reads, writes;           /* non-temporal stores among the writes */
    uint64_t non_temporal_stores;
    uint64_t non_temporal_bytes;
} AccessCounts;

/* Returns zeroed memory that is never freed, aligned to LINE_SIZE. */
typedef void *(*Allocate)(uint64_t bytes);

/* Set up `n` modelled processors, once. Processors with the same L1d and L2 share
 * the model of these. With `curves`, misses are also counted by LLC size. */
void cache_configure(const Processor *processors, unsigned n, unsigned max_threads, int curves,
                     Allocate allocate);

/* Accesses from now on are those of this thread (0 to max_threads - 1), whose caches are
 * made when it is first set. */
void cache_set_thread(unsigned thread);
int cache_has_thread(unsigned thread);

/* Run the accesses of the runs (shape.h) in [first, last) through the model, in order. */
void cache_consume(const uint64_t *first, const uint64_t *last);

void cache_zero_counts(void);
void cache_read(unsigned processor, CacheCounts *counts);
void cache_read_accesses(AccessCounts *counts);

/* Count LLC misses in these ranges apart from now on. They are in order of address and
 * don't overlap, and labels are 1 to RANGE_LABELS; returns 0, with nothing changed, if
 * not, or if there are more than MAX_RANGES. */
int cache_set_ranges(const AddressRange *given, unsigned n);

/* Misses that an LRU LLC with the sets of this processor's would have behind its
 * private caches if it had 1, 2 ... CURVE_WAYS ways and were not inclusive. */
void cache_read_curve(unsigned processor, uint64_t misses[CURVE_WAYS]);

#endif
