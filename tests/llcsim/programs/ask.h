/* For test programs: llcsim's client requests, and reading what it counted. */
#include <stdint.h>
#include <stdio.h>

#include "client_request.c" /* one file to compile, not two */
#include "requests.h"

static inline void record(int on)
{
    llcsim_request(on ? LLCSIM_ON : LLCSIM_OFF, 0, 0, 0);
}

static inline void zero(void)
{
    llcsim_request(LLCSIM_ZERO, 0, 0, 0);
}

/* Prints all words of LLCSIM_READ on one line. */
static inline void print_counts(void)
{
    uint64_t words[100];
    uint64_t n = llcsim_request(LLCSIM_READ, (uint64_t)(uintptr_t)words, 100, 0);
    for (uint64_t i = 0; i < n; i++)
        printf("%llu ", (unsigned long long)words[i]);
    printf("\n");
}
