/* The cache model alone: harness CURVES PROCESSOR... < trace
 * A processor is eleven numbers between colons: sets, ways and policy of L1d, L2 and LLC, the
 * inclusion, and 1 for a prefetcher. The trace is binary: pairs of 64-bit words, thread and entry (cache.h). Prints
 * reads, writes, non-temporal stores and their bytes, then each processor's nine counts on a
 * line, its curve after them if CURVES is 1. */
#include "cache.h"

#include <stdio.h>
#include <stdlib.h>

#define BATCH 5000

static void *allocate(uint64_t bytes)
{
    return calloc(1, bytes ? bytes : 1);
}

static void run(const uint64_t *pairs, size_t n)
{
    static uint64_t entries[BATCH];
    size_t k = 0;

    for (size_t i = 0; i < n; i++) {
        entries[k++] = pairs[2 * i + 1];
        if (i + 1 == n || pairs[2 * i + 2] != pairs[2 * i]) {
            cache_set_thread(pairs[2 * i]);
            cache_consume(entries, entries + k);
            k = 0;
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
