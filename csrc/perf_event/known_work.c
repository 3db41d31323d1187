#define _GNU_SOURCE
#include "known_work.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

uint64_t work_instructions(uint64_t n)
{
#if defined(__x86_64__)
    __asm__ volatile("1: decq %0\n\t"
                     "jnz 1b"
                     : "+r"(n)
                     :
                     : "cc");
    return 1;
#elif defined(__aarch64__)
    __asm__ volatile("1: subs %0, %0, #1\n\t"
                     "b.ne 1b"
                     : "+r"(n)
                     :
                     : "cc");
    return 1;
#else
    (void)n;
    return 0;
#endif
}

/* AddressSanitizer's memory of what was touched would have page faults of its own. */
__attribute__((no_sanitize_address)) int work_page_faults(size_t pages)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *memory = mmap(NULL, pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return -errno;
    /* EINVAL: a kernel without huge pages, which is as good. */
    int advised = madvise(memory, pages * page, MADV_NOHUGEPAGE) == 0 || errno == EINVAL ? 0 : -errno;
    if (advised == 0)
        for (size_t i = 0; i < pages; i++)
            *(volatile char *)(memory + i * page) = 1;
    munmap(memory, pages * page);
    return advised;
}

static uint64_t next_random(uint64_t *state)
{
    /* Marsaglia's xorshift64. */
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

void work_tie_cycle(void *memory, size_t n, size_t line, uint64_t seed)
{
    char *base = memory;
    uint64_t state = seed | 1;
    for (size_t i = 0; i < n; i++)
        *(void **)(base + i * line) = base + i * line;
    /* Sattolo's shuffle: exchanging with an earlier line always leaves one cycle. */
    for (size_t i = n - 1; i > 0; i--) {
        void **one = (void **)(base + i * line);
        void **other = (void **)(base + (size_t)(next_random(&state) % i) * line);
        void *kept = *one;
        *one = *other;
        *other = kept;
    }
}

void *work_walk(void *start, uint64_t steps)
{
    void *at = start;
    while (steps--)
        at = *(void *volatile *)at;
    return at;
}

int work_flush(const void *memory, size_t bytes, size_t line)
{
    const char *end = (const char *)memory + bytes;
#if defined(__x86_64__)
    for (const char *at = memory; at < end; at += line)
        __asm__ volatile("clflush (%0)" : : "r"(at) : "memory");
    __asm__ volatile("mfence" : : : "memory");
    return 1;
#elif defined(__aarch64__)
    for (const char *at = memory; at < end; at += line)
        __asm__ volatile("dc civac, %0" : : "r"(at) : "memory");
    __asm__ volatile("dsb ish" : : : "memory");
    return 1;
#else
    (void)end;
    (void)line;
    return 0;
#endif
}
