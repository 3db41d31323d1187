/* One access of each unusual kind, each counted alone: prints NAME and the words a line. */
#include "ask.h"

#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

static _Alignas(4096) unsigned char area[1 << 16];

#define CASE(name, code)                                                                       \
    do {                                                                                       \
        zero();                                                                                \
        code;                                                                                  \
        uint64_t words[8];                                                                     \
        llcsim_request(LLCSIM_READ, (uint64_t)(uintptr_t)words, 8, 0);                         \
        printf("%s %llu %llu %llu\n", name, (unsigned long long)words[1],                      \
               (unsigned long long)words[2], (unsigned long long)words[3]);                    \
    } while (0)

__attribute__((target("avx"))) static void masked_load(const float *from, int mask)
{
    __m256i m = _mm256_set1_epi32(mask);
    __m256 value;
    __asm__ volatile("vmaskmovps (%1), %2, %0" : "=x"(value) : "r"(from), "x"(m) : "memory");
}

__attribute__((target("avx"))) static void masked_store(float *to, int mask)
{
    __m256i m = _mm256_set1_epi32(mask);
    __m256 value = _mm256_setzero_ps();
    __asm__ volatile("vmaskmovps %1, %2, (%0)" : : "r"(to), "x"(value), "x"(m) : "memory");
}

static void compare_and_swap(void *at)
{
    unsigned long low = 0, high = 0;
    __asm__ volatile("lock cmpxchg16b (%2)"
                     : "+a"(low), "+d"(high)
                     : "r"(at), "b"(1L), "c"(1L)
                     : "memory", "cc");
}

static void quiet(void) {}

int main(void)
{
    quiet();
    record(1);
    CASE("nothing", quiet());
    CASE("straddling", *(volatile uint64_t *)(area + 4096 + 60));
    CASE("aligned", *(volatile uint64_t *)(area + 8192));
    CASE("masked-off-load", masked_load((float *)(area + 12288), 0));
    CASE("masked-on-load", masked_load((float *)(area + 16384), -1));
    CASE("masked-off-store", masked_store((float *)(area + 20480), 0));
    CASE("masked-on-store", masked_store((float *)(area + 24576), -1));
    CASE("cmpxchg16b", compare_and_swap(area + 28672));
    CASE("fxsave", __asm__ volatile("fxsave (%0)" : : "r"(area + 32768) : "memory"));
    record(0);
    return 0;
}
