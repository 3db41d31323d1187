/* One access of each unusual kind, each counted alone: prints NAME, reads, writes, L1d misses,
 * non-temporal stores, their bytes and LLC write-backs a line. */
#include "ask.h"

#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

static _Alignas(4096) unsigned char area[1 << 16];

#define CASE(name, code)                                                                       \
    do {                                                                                       \
        zero();                                                                                \
        code;                                                                                  \
        uint64_t w[10];                                                                        \
        llcsim_request(LLCSIM_READ, (uint64_t)(uintptr_t)w, 10, 0);                            \
        printf("%s %lu %lu %lu %lu %lu %lu\n", name, w[1], w[2], w[5], w[3], w[4], w[9]);      \
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

/* Reads of 32, 16 and 8 bytes in a row over two lines, the same again, and a change in place. */
__attribute__((target("avx"))) static void neighbours(void *at)
{
    __asm__ volatile("vmovups 36(%0), %%ymm0\n\tmovups 68(%0), %%xmm1\n\tmovq 84(%0), %%rax\n\t"
                     "vmovups 36(%0), %%ymm2\n\tmovups 68(%0), %%xmm3\n\tmovq 84(%0), %%rcx\n\t"
                     "addq $1, 88(%0)"
                     : : "r"(at) : "memory", "rax", "rcx", "xmm0", "xmm1", "xmm2", "xmm3");
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
    CASE("movnti", __asm__ volatile("movnti %0, (%1)" : : "r"(1L), "r"(area + 36864) : "memory"));
    CASE("movntdq", __asm__ volatile("movntdq %%xmm8, (%0)" : : "r"(area + 36928) : "memory"));
    CASE("movntps", __asm__ volatile("movq %0, %%r8\n\tmovntps %%xmm0, (%%r8)" : : "r"(area + 36992) : "memory", "r8"));
    CASE("vmovntdq", __asm__ volatile("vmovntdq %%ymm0, (%0)" : : "r"(area + 37056) : "memory"));
    CASE("vmovntpd", __asm__ volatile("movq %0, %%r8\n\tvmovntpd %%ymm9, (%%r8)" : : "r"(area + 36992) : "memory", "r8"));
    /* Written, then stored to past the caches, then read: a write-back and two misses. */
    CASE("evicting", __asm__ volatile("movl $1, 256(%0)\n\tmovnti %1, 256(%0)\n\tmovl 256(%0), %k1"
                                      : : "r"(area + 36864), "r"(1L) : "memory"));
    CASE("movups", __asm__ volatile("movups %%xmm0, (%0)" : : "r"(area + 45056) : "memory"));
    CASE("neighbours", neighbours(area + 40960));
    CASE("descending", __asm__ volatile("movq %1, 64(%0)\n\tmovq %1, 56(%0)"
                                        : : "r"(area + 49152), "r"(1L) : "memory"));
    record(0);
    return 0;
}
