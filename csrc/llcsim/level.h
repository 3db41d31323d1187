/* One set-associative cache: what is in it and what it evicts next. */
#ifndef LLCSIM_LEVEL_H
#define LLCSIM_LEVEL_H

#include "cache.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define INLINE static inline __attribute__((always_inline))

/* What passes between levels: a line, and what happens to it. */
typedef uint64_t Event;
enum {
    WRITE = 1,        /* with DEMAND: the access writes; else the line is dirty */
    DEMAND = 0,
    NON_TEMPORAL = 2, /* the line leaves the caches */
    SHARED = 4,       /* another thread's private caches hold it, or held it until now */
    PREFETCH = 8,     /* no access asked for it */
    WRITE_BACK = 16,
};
#define EVENT_BITS 5

/* A cached line: the line << 1 | whether it is dirty. 0 is empty (line 0 is never mapped).
 * Half a word is enough below MAX_ADDRESS. */
typedef uint32_t Slot;
#define DIRTY 1u

INLINE Slot slot_of(uint64_t line)
{
    return (Slot)line << 1;
}

INLINE uint64_t line_in(Slot slot)
{
    return slot >> 1;
}

/* What a slot becomes on its way to the next level: WRITE_BACK if it is dirty. */
INLINE Event event_of(Slot slot)
{
    return (Event)slot << (EVENT_BITS - 1);
}

typedef struct {
    Slot *slots;     /* of each set; with LRU in order of use, the latest first */
    uint64_t *tree;  /* tree-PLRU: of each set the tree's bits, the root's is bit 1; else NULL */
    uint64_t sets;
    uint64_t mask;   /* sets - 1 where sets is a power of two, else 0 */
    uint32_t ways;
    uint32_t stride; /* slots from set to set: ways rounded up to eight */
} Level;

void level_init(Level *level, Geometry geometry, Allocate allocate);

INLINE uint64_t level_set(const Level *level, uint64_t line)
{
    return level->mask != 0 ? line & level->mask : line % level->sets;
}

/* Each bit of the tree on the way to a leaf points away from it. */
INLINE uint64_t tree_touched(uint64_t tree, unsigned way, unsigned ways)
{
    for (unsigned node = 1, half = ways / 2; half != 0; half /= 2) {
        const unsigned right = (way & half) != 0;
        tree = right ? tree & ~(UINT64_C(1) << node) : tree | UINT64_C(1) << node;
        node = 2 * node + right;
    }
    return tree;
}

INLINE unsigned tree_victim(uint64_t tree, unsigned ways)
{
    unsigned node = 1;
    while (node < ways)
        node = 2 * node + (tree >> node & 1);
    return node - ways;
}

/* Which way of a set holds this line; `ways` if none. An empty one for line 0. */
INLINE unsigned level_find(const Level *level, uint64_t set, uint64_t line)
{
    const Slot *slots = level->slots + set * level->stride;
    unsigned way = 0;
    while (way < level->ways && (slots[way] & ~DIRTY) != slot_of(line))
        way++;
    return way;
}

typedef Slot Four __attribute__((vector_size(16), aligned(4), may_alias));
typedef uint64_t Two __attribute__((vector_size(16)));

INLINE int level_holds(const Level *level, uint64_t line)
{
    const Slot *slots = level->slots + level_set(level, line) * level->stride;
    const Four wanted = (Four){0} + (slot_of(line) | DIRTY);
    Four found = {0};

    for (uint32_t i = 0; i < level->stride; i += 4)
        found |= (Four)((*(const Four *)(slots + i) | DIRTY) == wanted);
    return (((Two)found)[0] | ((Two)found)[1]) != 0;
}

/* Use a line, filling it if need be. Returns whether it hit; on a miss *evicted is the
 * slot that it displaced (0: none). */
int level_use(Level *level, uint64_t line, uint64_t dirty, Slot *evicted);

/* Mark a line dirty where the cache holds it, which is no use of it; returns whether
 * it does. */
int level_mark_dirty(Level *level, uint64_t line);

/* Take a line out; returns its slot, 0 if it was not there. */
Slot level_remove(Level *level, uint64_t line);

#endif
