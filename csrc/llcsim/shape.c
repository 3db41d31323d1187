#include "shape.h"

#include <stddef.h>

#define BUCKETS 16384

static const Shape *buckets[BUCKETS];

static uint64_t mixed(uint64_t hash, uint64_t value)
{
    return (hash ^ value ^ hash >> 29) * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t hash_of(const Shape *shape)
{
    uint64_t hash = mixed(shape->n_bases, shape->guarded);

    for (uint32_t i = 0; i < shape->n_accesses; i++)
        hash = mixed(mixed(hash, shape->term[i]), shape->base[i]);
    return hash;
}

/* Non-temporal stores are told by their terms. */
static int same(const Shape *a, const Shape *b)
{
    if (a->n_bases != b->n_bases || a->n_accesses != b->n_accesses || a->guarded != b->guarded ||
        a->reads != b->reads || a->writes != b->writes)
        return 0;
    for (uint32_t i = 0; i < a->n_accesses; i++)
        if (a->base[i] != b->base[i] || a->term[i] != b->term[i])
            return 0;
    return 1;
}

static const Shape *intern(const Shape *shape, Allocate allocate)
{
    const Shape **bucket = &buckets[hash_of(shape) >> 32 & (BUCKETS - 1)];

    for (const Shape *known = *bucket; known != 0; known = known->next)
        if (same(known, shape))
            return known;
    const size_t size = offsetof(Shape, term) + (shape->n_accesses + 7) / 8 * 8 * sizeof shape->term[0];
    Shape *kept = allocate(size);
    for (size_t i = 0; i < size / sizeof(uint64_t); i++)
        ((uint64_t *)kept)[i] = ((const uint64_t *)shape)[i];
    kept->next = *bucket;
    return *bucket = kept;
}

uint64_t shape_head(const Shape *shape, Allocate allocate)
{
    return (uintptr_t)intern(shape, allocate) | (uint64_t)shape->n_bases << HEAD_BASES_SHIFT;
}

unsigned shape_expand_guarded(const Shape *shape, const uint64_t *bases, uint64_t *entries,
                              AccessCounts *counts)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < shape->n_accesses; i++) {
        const int guarded = (shape->guarded >> i & 1) != 0;
        const uint64_t base = bases[shape->base[i]], entry = base + shape->term[i];

        if (guarded && base == 0)
            continue;
        if (guarded && (entry & ENTRY_WRITE) != 0)
            counts->writes++;
        else if (guarded)
            counts->reads++;
        entries[n++] = entry;
    }
    return n;
}
