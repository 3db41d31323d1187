#include "coupled.h"
#include "ranges.h"

#include <cpuid.h>

/* Accesses that go through the levels together. Each level passes on two events for
 * one at most. */
#define CHUNK 1024

/* The last-level caches behind one kind of private caches. */
typedef struct {
    Level level;
    Curve *curve; /* or NULL */
    Passed passed;
    uint64_t labelled[RANGE_LABELS];
} Shared;

/* Processors without coupling that have the same private caches. */
typedef struct {
    Geometry l1d, l2;
    Passed l1d_passed, l2_passed;
    unsigned first_llc, n_llcs;
} Hierarchy;

typedef struct {
    Level l1d[MAX_PROCESSORS], l2[MAX_PROCESSORS]; /* by hierarchy */
    Filter filter;                                 /* before all hierarchies */
    Private *coupled[MAX_PROCESSORS];
} Thread;

static Hierarchy hierarchies[MAX_PROCESSORS];
static unsigned n_hierarchies;
static Shared llcs[MAX_PROCESSORS];
static Coupled coupled[MAX_PROCESSORS];
static unsigned n_coupled;
static struct {
    unsigned hierarchy, llc;
    Coupled *coupled; /* NULL: it is in a hierarchy */
} places[MAX_PROCESSORS];

static Thread **threads;
static Thread *current;
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
    c->n_threads = max_threads;
    c->privates = allocate_memory(max_threads * sizeof c->privates[0]);
    c->filter_mask = filter_sets(processor->l1d.sets) - 1;
    level_init(&c->llc, processor->llc, allocate_memory);
    c->curve = curves ? new_curve(processor->llc) : 0;
}

void cache_configure(const Processor *processors, unsigned n, unsigned max_threads, int curves,
                     Allocate allocate)
{
    unsigned placed = 0;
    int done[MAX_PROCESSORS] = {0};

    allocate_memory = allocate;
    if (has_avx2())
        batch = &batch_avx2;
    threads = allocate(max_threads * sizeof *threads);
    filter_mask = MAX_FILTER_SETS - 1;
    for (unsigned i = 0; i < n; i++) {
        if (processors[i].inclusion != NON_INCLUSIVE) {
            places[i].coupled = &coupled[n_coupled];
            add_coupled(&processors[i], max_threads, curves);
            done[i] = 1;
        }
        if (done[i])
            continue;
        filter_mask &= filter_sets(processors[i].l1d.sets) - 1;
        Hierarchy *h = &hierarchies[n_hierarchies];
        h->l1d = processors[i].l1d;
        h->l2 = processors[i].l2;
        h->first_llc = placed;
        for (unsigned j = i; j < n; j++) {
            if (processors[j].inclusion != NON_INCLUSIVE ||
                !same_geometry(processors[j].l1d, h->l1d) ||
                !same_geometry(processors[j].l2, h->l2))
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

static void clear(Filter *filter)
{
    for (unsigned i = 0; i < MAX_FILTER_SETS; i++)
        filter->latest[i] = NO_LINE;
}

static Thread *new_thread(void)
{
    Thread *t = allocate_memory(sizeof *t);

    clear(&t->filter);
    for (unsigned i = 0; i < n_hierarchies; i++) {
        level_init(&t->l1d[i], hierarchies[i].l1d, allocate_memory);
        if (hierarchies[i].l2.ways != 0)
            level_init(&t->l2[i], hierarchies[i].l2, allocate_memory);
    }
    for (unsigned i = 0; i < n_coupled; i++) {
        Private *p = t->coupled[i] = allocate_memory(sizeof *p);
        clear(&p->filter);
        level_init(&p->l1d, coupled[i].processor.l1d, allocate_memory);
        if (coupled[i].processor.l2.ways != 0)
            level_init(&p->l2, coupled[i].processor.l2, allocate_memory);
        coupled[i].privates[current_thread] = p;
    }
    return t;
}

int cache_has_thread(unsigned thread)
{
    return threads[thread] != 0;
}

void cache_set_thread(unsigned thread)
{
    current_thread = thread;
    if (!cache_has_thread(thread))
        threads[thread] = new_thread();
    current = threads[thread];
}

static void label_misses(Shared *llc, const Event *to_memory, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if ((to_memory[i] & (WRITE_BACK | NON_TEMPORAL)) != 0)
            continue;
        const unsigned label = range_label(to_memory[i] >> EVENT_BITS);
        if (label != 0)
            llc->labelled[label - 1]++;
    }
}

static void run_hierarchy(Hierarchy *h, Level *l1d, Level *l2, const Event *events, unsigned n)
{
    static Event behind_l1d[4 * CHUNK], behind_l2[8 * CHUNK], to_memory[16 * CHUNK];
    const Event *last = behind_l1d;

    n = batch->pass(l1d, events, n, behind_l1d, &h->l1d_passed);
    if (h->l2.ways != 0) {
        n = batch->pass(l2, behind_l1d, n, behind_l2, &h->l2_passed);
        last = behind_l2;
    }
    if (n == 0)
        return;
    for (unsigned i = h->first_llc; i < h->first_llc + h->n_llcs; i++) {
        const unsigned m = batch->pass(&llcs[i].level, last, n, to_memory, &llcs[i].passed);
        if (range_count != 0)
            label_misses(&llcs[i], to_memory, m);
        if (llcs[i].curve != 0)
            batch->stack(llcs[i].curve, last, n);
    }
}

void cache_consume(const uint64_t *first, const uint64_t *last)
{
    static Event events[2 * CHUNK];
    Thread *const t = current;

    for (unsigned i = 0; i < n_coupled; i++)
        coupled_consume(&coupled[i], t->coupled[i], batch, first, last);
    while (first < last) {
        const uint64_t *end = last - first > CHUNK ? first + CHUNK : last;
        const unsigned n = batch->filter(&t->filter, filter_mask, first, end, &accesses, events);
        for (unsigned i = 0; i < n_hierarchies; i++)
            run_hierarchy(&hierarchies[i], &t->l1d[i], &t->l2[i], events, n);
        first = end;
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
    for (unsigned i = 0; i < n_hierarchies; i++)
        hierarchies[i].l1d_passed = hierarchies[i].l2_passed = none;
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
    counts->l1d_misses = h->l1d_passed.misses;
    counts->l2_misses = h->l2_passed.misses;
    counts->llc_references = h->l2.ways != 0 ? h->l2_passed.misses : h->l1d_passed.misses;
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
