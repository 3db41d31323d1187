#include "cache.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* A slot holds (line << 1 | dirty); 0 is empty (line 0 is never mapped). The slots
 * of a set are kept in order of use, latest first. */
typedef uint64_t Slot;

typedef struct {
    Slot *slots;
    uint64_t sets;
    uint64_t mask; /* sets - 1 where sets is a power of two, else 0 */
    uint32_t ways;
} Cache;

typedef struct {
    Cache l1d, l2;
} Private;

/* The last-level caches behind one kind of private caches. */
typedef struct {
    Cache cache;
    uint64_t misses, writebacks;
} Shared;

typedef struct {
    Geometry l1d, l2;
    uint64_t l1d_misses, l2_misses;
    unsigned first_llc, n_llcs;
} Hierarchy;

/* Latest line of each set of a cache with few sets, as a Slot: an access to it
 * changes no order in any modelled L1d (each has a multiple of these sets). */
#define MAX_FILTER_SETS 64

typedef struct {
    Private privates[MAX_PROCESSORS];
    Slot filter[MAX_FILTER_SETS];
} Thread;

static Hierarchy hierarchies[MAX_PROCESSORS];
static unsigned n_hierarchies;
static Shared llcs[MAX_PROCESSORS];
static unsigned llc_of[MAX_PROCESSORS], hierarchy_of[MAX_PROCESSORS];
static Thread **threads;
static Thread *current;
static uint64_t filter_mask;
static uint64_t n_accesses, n_writes;
static Allocate allocate_memory;

static void cache_init(Cache *cache, Geometry geometry)
{
    cache->sets = geometry.sets;
    cache->ways = geometry.ways;
    cache->mask = (geometry.sets & (geometry.sets - 1)) == 0 ? geometry.sets - 1 : 0;
    cache->slots = allocate_memory(geometry.sets * geometry.ways * sizeof(Slot));
}

static int same_geometry(Geometry a, Geometry b)
{
    return a.sets == b.sets && a.ways == b.ways;
}

void cache_configure(const Processor *processors, unsigned n, unsigned max_threads,
                     Allocate allocate)
{
    unsigned placed = 0;
    uint64_t common_sets = MAX_FILTER_SETS;

    allocate_memory = allocate;
    threads = allocate(max_threads * sizeof *threads);
    for (unsigned i = 0; i < n; i++) {
        /* The largest power of two that divides each L1d's number of sets. */
        while (processors[i].l1d.sets % common_sets != 0)
            common_sets /= 2;
        hierarchy_of[i] = MAX_PROCESSORS;
    }
    filter_mask = common_sets - 1;
    for (unsigned i = 0; i < n; i++) {
        if (hierarchy_of[i] != MAX_PROCESSORS)
            continue;
        Hierarchy *h = &hierarchies[n_hierarchies];
        h->l1d = processors[i].l1d;
        h->l2 = processors[i].l2;
        h->first_llc = placed;
        for (unsigned j = i; j < n; j++) {
            if (!same_geometry(processors[j].l1d, h->l1d) ||
                !same_geometry(processors[j].l2, h->l2))
                continue;
            hierarchy_of[j] = n_hierarchies;
            llc_of[j] = placed;
            cache_init(&llcs[placed++].cache, processors[j].llc);
        }
        h->n_llcs = placed - h->first_llc;
        n_hierarchies++;
    }
    cache_set_thread(0);
}

void cache_set_thread(unsigned thread)
{
    if (threads[thread] == 0) {
        Thread *t = allocate_memory(sizeof *t);
        for (unsigned i = 0; i < n_hierarchies; i++) {
            cache_init(&t->privates[i].l1d, hierarchies[i].l1d);
            if (hierarchies[i].l2.ways != 0)
                cache_init(&t->privates[i].l2, hierarchies[i].l2);
        }
        threads[thread] = t;
    }
    current = threads[thread];
}

static inline Slot *set_of(const Cache *cache, uint64_t line)
{
    uint64_t set = cache->mask != 0 || cache->sets == 1 ? line & cache->mask
                                                        : line % cache->sets;
    return cache->slots + set * cache->ways;
}

/* Use a line: put it first in its set. Returns 1 on a hit; on a miss the line is
 * filled and *evicted is the slot that it displaced (0: none). */
static inline int cache_use(Cache *cache, uint64_t line, uint64_t write, Slot *evicted)
{
    Slot *slot = set_of(cache, line);
    const Slot *end = slot + cache->ways;
    Slot *first = slot;
    const Slot key = line << 1;
    Slot carried = *slot;

    if ((carried ^ key) < 2) {
        *slot = carried | write;
        return 1;
    }
    while (++slot < end) {
        Slot held = *slot;
        *slot = carried;
        if ((held ^ key) < 2) {
            *first = held | write;
            return 1;
        }
        carried = held;
    }
    *first = key | write;
    *evicted = carried;
    return 0;
}

/* Mark a line dirty where the cache holds it; returns whether it does. */
static int cache_mark_dirty(Cache *cache, uint64_t line)
{
    Slot *slot = set_of(cache, line);
    for (uint32_t i = 0; i < cache->ways; i++) {
        if (slot[i] >> 1 == line) {
            slot[i] |= 1;
            return 1;
        }
    }
    return 0;
}

static void write_back_to_llcs(const Hierarchy *h, uint64_t line)
{
    for (unsigned i = h->first_llc; i < h->first_llc + h->n_llcs; i++)
        if (!cache_mark_dirty(&llcs[i].cache, line))
            llcs[i].writebacks++;
}

static void access_hierarchy(Hierarchy *h, Private *p, uint64_t line, uint64_t write)
{
    Slot evicted;

    if (cache_use(&p->l1d, line, write, &evicted))
        return;
    h->l1d_misses++;
    if ((evicted & 1) != 0 &&
        (p->l2.ways == 0 || !cache_mark_dirty(&p->l2, evicted >> 1)))
        write_back_to_llcs(h, evicted >> 1);
    if (p->l2.ways != 0) {
        if (cache_use(&p->l2, line, 0, &evicted))
            return;
        h->l2_misses++;
        if ((evicted & 1) != 0)
            write_back_to_llcs(h, evicted >> 1);
    }
    for (unsigned i = h->first_llc; i < h->first_llc + h->n_llcs; i++) {
        if (cache_use(&llcs[i].cache, line, 0, &evicted))
            continue;
        llcs[i].misses++;
        llcs[i].writebacks += evicted & 1;
    }
}

static inline void access_line(Thread *t, uint64_t line, uint64_t write)
{
    Slot *latest = &t->filter[line & filter_mask];
    const Slot key = line << 1;

    /* A write needs the line to be dirty already. */
    if (LIKELY((*latest | (write ^ 1)) == (key | 1)))
        return;
    *latest = (*latest ^ key) < 2 ? *latest | write : key | write;
    for (unsigned i = 0; i < n_hierarchies; i++)
        access_hierarchy(&hierarchies[i], &t->privates[i], line, write);
}

void cache_consume(const uint64_t *first, const uint64_t *last)
{
    Thread *const t = current;
    uint64_t accesses = n_accesses, writes = n_writes;

    for (; first < last; first++) {
        const uint64_t entry = *first;
        if (UNLIKELY(entry == 0))
            continue;
        const uint64_t address = entry & ENTRY_ADDRESS_MASK;
        const uint64_t size = (entry & ~ENTRY_WRITE) >> ENTRY_SIZE_SHIFT;
        const uint64_t line = address >> LINE_BITS;
        const uint64_t last_line = (address + size - 1) >> LINE_BITS;
        const uint64_t write = entry >> 63;

        accesses++;
        writes += write;
        access_line(t, line, write);
        if (UNLIKELY(line != last_line))
            access_line(t, last_line, write);
    }
    n_accesses = accesses;
    n_writes = writes;
}

void cache_zero_counts(void)
{
    n_accesses = n_writes = 0;
    for (unsigned i = 0; i < n_hierarchies; i++) {
        Hierarchy *h = &hierarchies[i];
        h->l1d_misses = h->l2_misses = 0;
        for (unsigned j = h->first_llc; j < h->first_llc + h->n_llcs; j++)
            llcs[j].misses = llcs[j].writebacks = 0;
    }
}

void cache_read(unsigned processor, CacheCounts *counts)
{
    const Hierarchy *h = &hierarchies[hierarchy_of[processor]];
    const Shared *llc = &llcs[llc_of[processor]];

    counts->l1d_misses = h->l1d_misses;
    counts->l2_misses = h->l2_misses;
    counts->llc_references = h->l2.ways != 0 ? h->l2_misses : h->l1d_misses;
    counts->llc_misses = llc->misses;
    counts->llc_writebacks = llc->writebacks;
}

void cache_read_accesses(uint64_t *reads, uint64_t *writes)
{
    *reads = n_accesses - n_writes;
    *writes = n_writes;
}
