/* The cache model alone: harness SETS/WAYS:SETS/WAYS:SETS/WAYS... < trace
 * The trace is binary: pairs of 64-bit words, thread and entry (cache.h). Prints reads and
 * writes, then each processor's five counts on a line. */
#include "cache.h"

#include <stdio.h>
#include <stdlib.h>

static void *allocate(uint64_t bytes)
{
    return calloc(1, bytes ? bytes : 1);
}

int main(int argc, char **argv)
{
    Processor processors[MAX_PROCESSORS] = {0};
    uint64_t pair[2], reads, writes;

    for (int i = 1; i < argc; i++) {
        unsigned long long g[6];
        if (sscanf(argv[i], "%llu/%llu:%llu/%llu:%llu/%llu", g, g + 1, g + 2, g + 3, g + 4, g + 5) != 6)
            return 2;
        processors[i - 1] = (Processor){{g[0], g[1]}, {g[2], g[3]}, {g[4], g[5]}};
    }
    cache_configure(processors, argc - 1, 8, allocate);
    while (fread(pair, sizeof pair, 1, stdin) == 1) {
        cache_set_thread(pair[0]);
        cache_consume(&pair[1], &pair[1] + 1);
    }
    cache_read_accesses(&reads, &writes);
    printf("%llu %llu\n", (unsigned long long)reads, (unsigned long long)writes);
    for (int i = 0; i < argc - 1; i++) {
        CacheCounts c;
        cache_read(i, &c);
        printf("%llu %llu %llu %llu %llu\n", (unsigned long long)c.l1d_misses,
               (unsigned long long)c.l2_misses, (unsigned long long)c.llc_references,
               (unsigned long long)c.llc_misses, (unsigned long long)c.llc_writebacks);
    }
    return 0;
}
