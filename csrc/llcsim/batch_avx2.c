/* For processors with AVX2. */
#pragma GCC target("avx2,bmi,bmi2")
#include "level.h"

#include <immintrin.h>

typedef long long Lanes;

INLINE __m256i load4(const Slot *slots)
{
    return _mm256_loadu_si256((const __m256i *)slots);
}

INLINE unsigned find(const Slot *slots, Slot key, unsigned n)
{
    const __m256i wanted = _mm256_set1_epi64x((Lanes)(key | DIRTY));
    unsigned found = 0;

#pragma GCC unroll 8
    for (unsigned i = 0; i < n; i += 4) {
        const __m256i held = _mm256_or_si256(load4(slots + i), _mm256_set1_epi64x(DIRTY));
        const __m256i same = _mm256_cmpeq_epi64(held, wanted);
        found |= (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(same)) << i;
    }
    return found;
}

INLINE void push(Slot *slots, Slot front, unsigned to, unsigned n)
{
    const __m256i at = _mm256_set1_epi64x(__builtin_ctz(to));
    __m256i before = _mm256_set1_epi64x((Lanes)front);

#pragma GCC unroll 8
    for (unsigned i = 0; i < n; i += 4) {
        const __m256i held = load4(slots + i);
        const __m256i lanes = _mm256_set_epi64x(i + 3, i + 2, i + 1, i);
        /* held, moved up by a lane, behind the last lane of those before */
        const __m256i moved = _mm256_permute4x64_epi64(_mm256_blend_epi32(held, before, 0xc0), 0x93);
        const __m256i kept = _mm256_cmpgt_epi64(lanes, at);
        _mm256_storeu_si256((__m256i *)(slots + i), _mm256_blendv_epi8(moved, held, kept));
        before = held;
    }
}

#define BATCH batch_avx2
#include "batch_template.h"
