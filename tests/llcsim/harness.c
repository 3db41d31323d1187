/* The cache model alone: harness CURVES PROCESSOR... < trace
 * A processor is eleven numbers between colons: sets, ways and policy of L1d, L2 and LLC, the
 * inclusion, and 1 for a prefetcher. The trace is binary: pairs of 64-bit words, thread and entry (cache.h). Prints
 * reads, writes, non-temporal stores and their bytes, then each processor's nine counts on a
 * line, its curve after them if CURVES is 1.
 *
 * Accesses are put together to runs of shapes at random, some with others that do not take place, which
 * changes no count. */
#include "shape.h"

#include <stdio.h>
#include <stdlib.h>

#define BATCH 5000
#define MAX_RUN 24

static void *allocate(uint64_t bytes)
{
    return calloc(1, bytes ? bytes : 1);
}

static uint64_t words[5 * BATCH], *next = words;
static Shape under_way;
static uint64_t bases[SHAPE_BASES];
static unsigned left; /* accesses until the next run begins */

static unsigned draw(unsigned n)
{
    static uint64_t rng = 1;

    rng = rng * 6364136223846793005u + 1442695040888963407u;
    return (rng >> 33) % n;
}

static void end_run(void)
{
    if (under_way.n_accesses == 0)
        return;
    *next++ = shape_head(&under_way, allocate);
    for (unsigned k = 0; k < under_way.n_bases; k++)
        *next++ = bases[k];
    under_way = (Shape){0};
}

static void flush(void)
{
    end_run();
    cache_consume(words, next);
    next = words;
}

static void add(uint64_t entry)
{
    const uint64_t address = entry & ENTRY_ADDRESS_MASK, size = entry >> ENTRY_SIZE_SHIFT;
    const int write = (entry & ENTRY_WRITE) != 0, past_caches = size >= ENTRY_NON_TEMPORAL;
    const int guarded = !past_caches && draw(50) == 0;
    unsigned k = draw(4);

    if (left == 0) {
        end_run();
        left = draw(3) == 0 ? draw(MAX_RUN) : 1;
    }
    left -= left != 0;
    if (guarded || k >= under_way.n_bases) {
        if (under_way.n_bases == SHAPE_BASES)
            end_run();
        k = under_way.n_bases++;
        bases[k] = guarded ? address : address - 4 * draw(8);
    }
    const uint64_t bytes = size & (ENTRY_NON_TEMPORAL - 1);
    shape_add(&under_way, k, shape_term(address - bases[k], bytes, write, past_caches), guarded);
    if (!guarded) {
        under_way.reads += !write;
        under_way.writes += write;
        under_way.non_temporal_stores += past_caches;
        under_way.non_temporal_bytes += past_caches ? bytes : 0;
    } else if (under_way.n_bases < SHAPE_BASES) { /* and one that does not take place */
        bases[under_way.n_bases] = 0;
        shape_add(&under_way, under_way.n_bases++, shape_term(0, 8, write, 0), 1);
    }
}

static void run(const uint64_t *pairs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        add(pairs[2 * i + 1]);
        if (i + 1 == n || pairs[2 * i + 2] != pairs[2 * i] || next > words + 4 * BATCH || draw(60) == 0) {
            cache_set_thread(pairs[2 * i]);
            flush();
        }
    }
}

int main(int argc, char **argv)
{
    static uint64_t pairs[2 * BATCH];
    Processor processors[MAX_PROCESSORS] = {0};
    const int n = argc - 2, curves = atoi(argv[1]);
    AccessCounts a;
    size_t read;

    for (int i = 0; i < n; i++) {
        unsigned g[11];
        if (sscanf(argv[i + 2], "%u:%u:%u:%u:%u:%u:%u:%u:%u:%u:%u", g, g + 1, g + 2, g + 3, g + 4, g + 5, g + 6,
                   g + 7, g + 8, g + 9, g + 10) != 11)
            return 2;
        processors[i] = (Processor){{g[0], g[1], g[2]}, {g[3], g[4], g[5]}, {g[6], g[7], g[8]}, g[9], g[10]};
    }
    cache_configure(processors, n, 8, curves, allocate);
    while ((read = fread(pairs, 16, BATCH, stdin)) != 0)
        run(pairs, read);
    cache_read_accesses(&a);
    printf("%lu %lu %lu %lu\n", a.reads, a.writes, a.non_temporal_stores, a.non_temporal_bytes);
    for (int i = 0; i < n; i++) {
        CacheCounts c;
        uint64_t misses[CURVE_WAYS];
        cache_read(i, &c);
        printf("%lu %lu %lu %lu %lu %lu %lu %lu %lu", c.l1d_misses, c.l2_misses, c.llc_references,
               c.llc_misses, c.llc_writebacks, c.coherence_misses, c.llc_prefetches,
               c.llc_prefetch_misses, c.useful_prefetches);
        if (curves)
            cache_read_curve(i, misses);
        for (int w = 0; curves && w < CURVE_WAYS; w++)
            printf(" %lu", misses[w]);
        printf("\n");
    }
    return 0;
}
