/* What a piece of code accesses each time that it runs, by addresses relative to a few bases.
 * One run of it is recorded as a head, which names the shape, and then its bases, a word each. */
#ifndef LLCSIM_SHAPE_H
#define LLCSIM_SHAPE_H

#include "cache.h"

#define SHAPE_BASES 16
#define SHAPE_ACCESSES 64

/* A head is the address of a Shape, with the number of bases from this bit on: where the next run begins is
 * known without a look at the shape. */
#define HEAD_BASES_SHIFT 56

typedef struct Shape {
    const struct Shape *next; /* of those with the same hash */
    uint64_t guarded;         /* a bit for each access that did not take place if its base is 0 */
    uint16_t n_bases, n_accesses;
    uint16_t reads, writes, non_temporal_stores, non_temporal_bytes; /* without the guarded ones */
    uint8_t base[SHAPE_ACCESSES];  /* of each access */
    uint64_t term[SHAPE_ACCESSES]; /* which, added to the base, is its entry (cache.h) */
} Shape;

/* For an access of this size at this offset from its base. */
static inline uint64_t shape_term(uint64_t offset, uint64_t size, int write, int non_temporal)
{
    return offset + (write ? ENTRY_WRITE : 0) +
           ((size + (non_temporal ? ENTRY_NON_TEMPORAL : 0)) << ENTRY_SIZE_SHIFT);
}

static inline void shape_add(Shape *shape, unsigned base, uint64_t term, int guarded)
{
    shape->guarded |= (uint64_t)guarded << shape->n_accesses;
    shape->base[shape->n_accesses] = (uint8_t)base;
    shape->term[shape->n_accesses++] = term;
}

/* The head of runs of a shape that equals this one; what it names is never freed, and its terms may be read
 * to a multiple of eight. */
uint64_t shape_head(const Shape *shape, Allocate allocate);

static inline const Shape *shape_of(uint64_t head)
{
    return (const Shape *)(uintptr_t)(head & ((UINT64_C(1) << HEAD_BASES_SHIFT) - 1));
}

/* The entries of a run with guarded accesses, of which those that took place are counted; returns
 * how many. */
unsigned shape_expand_guarded(const Shape *shape, const uint64_t *bases, uint64_t *entries,
                              AccessCounts *counts);

#endif
