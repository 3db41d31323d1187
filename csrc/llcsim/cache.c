#include "coupled.h"
#include "ranges.h"

#include <cpuid.h>

/* The last-level caches behind one kind of private caches. */
typedef struct {
    Level level;
    Curve *curve; /* or NULL */
    Passed passed;
    uint64_t labelled[RANGE_LABELS];
} Shared;

/* Processors without coupling that have the same private caches. */
typedef struct {
    Privates privates;
    Passed l1d_passed, l2_passed;
    uint64_t coherence_misses;
    unsigned first_llc, n_llcs;
} Hierarchy;

static Hierarchy hierarchies[MAX_PROCESSORS];
static unsigned n_hierarchies;
static Shared llcs[MAX_PROCESSORS];
static Coupled coupled[MAX_PROCESSORS];
static unsigned n_coupled;
static struct {
    unsigned hierarchy, llc;
    Coupled *coupled; /* NULL: it is in a hierarchy */
} places[MAX_PROCESSORS];

static Filter **filters; /* of each thread, before all hierarchies; NULL: no such thread yet */
static unsigned current_thread;
static uint64_t filter_mask;
static AccessCounts accesses;
static const Batch *batch = &batch_plain;
static Allocate allocate_memory;

static int has_avx2(void)
{
    unsigned a, b, c, d, low, high;

    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_OSXSAVE) == 0)
        return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & 6) == 6 && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 &&
           (b & bit_AVX2) != 0 && (b & bit_BMI) != 0 && (b & bit_BMI2) != 0;
}

static int same_geometry(Geometry a, Geometry b)
{
    return a.sets == b.sets && a.ways == b.ways && a.policy == b.policy;
}

/* The largest power of two up to MAX_FILTER_SETS that divides the sets. */
static uint64_t filter_sets(uint64_t sets)
{
    uint64_t n = MAX_FILTER_SETS;
    while (sets % n != 0)
        n /= 2;
    return n;
}

static Curve *new_curve(Geometry llc)
{
    Curve *curve = allocate_memory(sizeof *curve);

    curve->sets = llc.sets;
    curve->mask = (llc.sets & (llc.sets - 1)) == 0 ? llc.sets - 1 : 0;
    curve->lines = allocate_memory(llc.sets * CURVE_WAYS * sizeof curve->lines[0]);
    return curve;
}

static void add_coupled(const Processor *processor, unsigned max_threads, int curves)
{
    Coupled *c = &coupled[n_coupled++];

    c->processor = *processor;
    privates_init(&c->privates, processor, max_threads, allocate_memory);
    c->filter_mask = filter_sets(processor->l1d.sets) - 1;
    level_init(&c->llc, processor->llc, allocate_memory);
    c->curve = curves ? new_curve(processor->llc) : 0;
}

static int is_coupled(const Processor *p)
{
    return p->inclusion != NON_INCLUSIVE || p->next_line;
}

void cache_configure(const Processor *processors, unsigned n, unsigned max_threads, int curves,
                     Allocate allocate)
{
    unsigned placed = 0;
    int done[MAX_PROCESSORS] = {0};

    allocate_memory = allocate;
    if (has_avx2())
        batch = &batch_avx2;
    filters = allocate(max_threads * sizeof *filters);
    filter_mask = MAX_FILTER_SETS - 1;
    for (unsigned i = 0; i < n; i++) {
        if (is_coupled(&processors[i])) {
            places[i].coupled = &coupled[n_coupled];
            add_coupled(&processors[i], max_threads, curves);
            done[i] = 1;
        }
        if (done[i])
            continue;
        filter_mask &= filter_sets(processors[i].l1d.sets) - 1;
        Hierarchy *h = &hierarchies[n_hierarchies];
        privates_init(&h->privates, &processors[i], max_threads, allocate);
        h->first_llc = placed;
        for (unsigned j = i; j < n; j++) {
            if (is_coupled(&processors[j]) ||
                !same_geometry(processors[j].l1d, processors[i].l1d) ||
                !same_geometry(processors[j].l2, processors[i].l2))
                continue;
            places[j].hierarchy = n_hierarchies;
            places[j].llc = placed;
            level_init(&llcs[placed].level, processors[j].llc, allocate);
            llcs[placed++].curve = curves ? new_curve(processors[j].llc) : 0;
            done[j] = 1;
        }
        h->n_llcs = placed - h->first_llc;
        n_hierarchies++;
    }
    cache_set_thread(0);
}

int cache_has_thread(unsigned thread)
{
    return filters[thread] != 0;
}

static void add_thread(unsigned thread)
{
    filters[thread] = allocate_memory(sizeof *filters[thread]);
    for (unsigned i = 0; i < n_hierarchies; i++)
        privates_add(&hierarchies[i].privates, thread, allocate_memory);
    for (unsigned i = 0; i < n_coupled; i++)
        privates_add(&coupled[i].privates, thread, allocate_memory);
}

/* What its filter left out may do something again, since others have had their turn. */
static void begin_turn(unsigned thread)
{
    filter_clear(filters[thread]);
    for (unsigned i = 0; i < n_hierarchies; i++)
        hierarchies[i].privates.turn++;
    for (unsigned i = 0; i < n_coupled; i++) {
        coupled[i].privates.turn++;
        filter_clear(&coupled[i].privates.of_thread[thread]->filter);
    }
}

void cache_set_thread(unsigned thread)
{
    const int added = !cache_has_thread(thread);

    if (added)
        add_thread(thread);
    if (added || thread != current_thread)
        begin_turn(thread);
    current_thread = thread;
}

static int from_memory(Event event)
{
    return (event & (WRITE_BACK | NON_TEMPORAL | SHARED)) == 0;
}

static void label_misses(Shared *llc, const Event *passed, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const unsigned label = from_memory(passed[i]) ? range_label(passed[i] >> EVENT_BITS) : 0;
        if (label != 0)
            llc->labelled[label - 1]++;
    }
}

/* Have the misses of lines that came from another thread's caches be none. */
static void except_shared(Shared *llc, const Event *passed, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        llc->passed.misses -= (passed[i] & (SHARED | NON_TEMPORAL)) == SHARED;
}

static uint64_t count_taken(Private *own, const Event *fetched, unsigned n)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < n; i++)
        if ((fetched[i] & (WRITE_BACK | NON_TEMPORAL)) == 0)
            count += level_remove(&own->taken, fetched[i] >> EVENT_BITS) != 0;
    return count;
}

static void run_hierarchy(Hierarchy *h, const Event *events, unsigned n)
{
    static Event snooped[2 * CHUNK], behind_l1d[4 * CHUNK], behind_l2[8 * CHUNK], to_memory[16 * CHUNK];
    Private *const own = privates_enter(&h->privates, current_thread);
    const int shared = privates_shared(&h->privates);
    const Event *last = behind_l1d;

    if (shared) {
        for (unsigned i = 0; i < n; i++)
            snooped[i] = privates_snoop(&h->privates, own, events[i]);
        events = snooped;
    }
    n = batch->pass(&own->l1d, events, n, behind_l1d, &h->l1d_passed);
    if (own->l2.ways != 0) {
        n = batch->pass(&own->l2, behind_l1d, n, behind_l2, &h->l2_passed);
        last = behind_l2;
    }
    if (n == 0)
        return;
    if (shared)
        h->coherence_misses += count_taken(own, last, n);
    for (unsigned i = h->first_llc; i < h->first_llc + h->n_llcs; i++) {
        const unsigned m = batch->pass(&llcs[i].level, last, n, to_memory, &llcs[i].passed);
        if (shared)
            except_shared(&llcs[i], to_memory, m);
        if (range_count != 0)
            label_misses(&llcs[i], to_memory, m);
        if (llcs[i].curve != 0)
            batch->stack(llcs[i].curve, last, n);
    }
}

void cache_consume(const uint64_t *first, const uint64_t *last)
{
    static uint64_t entries[CHUNK];
    static Event events[2 * CHUNK];

    while (first < last) {
        const unsigned n = batch->expand(&first, last, &accesses, entries);
        for (unsigned i = 0; i < n_coupled; i++)
            coupled_consume(&coupled[i], current_thread, batch, entries, n);
        if (n_hierarchies == 0)
            continue;
        const unsigned passed =
            batch->filter(filters[current_thread], filter_mask, entries, n, events);
        for (unsigned i = 0; i < n_hierarchies; i++)
            run_hierarchy(&hierarchies[i], events, passed);
    }
}

static void zero_curve(Curve *curve)
{
    if (curve == 0)
        return;
    curve->references = 0;
    for (unsigned i = 0; i < CURVE_WAYS; i++)
        curve->hits[i] = 0;
}

void cache_zero_counts(void)
{
    const Passed none = {0, 0};

    accesses = (AccessCounts){0, 0, 0, 0};
    for (unsigned i = 0; i < n_hierarchies; i++) {
        hierarchies[i].l1d_passed = hierarchies[i].l2_passed = none;
        hierarchies[i].coherence_misses = 0;
    }
    for (unsigned i = 0; i < MAX_PROCESSORS; i++) {
        llcs[i].passed = none;
        for (unsigned label = 0; label < RANGE_LABELS; label++)
            llcs[i].labelled[label] = 0;
        zero_curve(llcs[i].curve);
    }
    for (unsigned i = 0; i < n_coupled; i++) {
        coupled[i].counts = (CacheCounts){0};
        zero_curve(coupled[i].curve);
    }
}

void cache_read(unsigned processor, CacheCounts *counts)
{
    const Hierarchy *h = &hierarchies[places[processor].hierarchy];
    const Shared *llc = &llcs[places[processor].llc];

    if (places[processor].coupled != 0) {
        *counts = places[processor].coupled->counts;
        return;
    }
    *counts = (CacheCounts){0};
    counts->l1d_misses = h->l1d_passed.misses;
    counts->l2_misses = h->l2_passed.misses;
    counts->llc_references =
        h->privates.l2.ways != 0 ? h->l2_passed.misses : h->l1d_passed.misses;
    counts->coherence_misses = h->coherence_misses;
    counts->llc_misses = llc->passed.misses;
    counts->llc_writebacks = llc->passed.writebacks;
    for (unsigned label = 0; label < RANGE_LABELS; label++)
        counts->labelled[label] = llc->labelled[label];
}

void cache_read_accesses(AccessCounts *counts)
{
    *counts = accesses;
}

void cache_read_curve(unsigned processor, uint64_t misses[CURVE_WAYS])
{
    const Curve *curve = places[processor].coupled != 0 ? places[processor].coupled->curve
                                                        : llcs[places[processor].llc].curve;
    uint64_t left = curve->references;

    for (unsigned i = 0; i < CURVE_WAYS; i++)
        misses[i] = left -= curve->hits[i];
}
