/* For processors with AVX2. */
#pragma GCC target("avx2,bmi,bmi2")
#include "level.h"

#include <immintrin.h>

INLINE unsigned find4(const Slot *slots, Slot key)
{
    const __m256i dirty = _mm256_set1_epi64x(DIRTY);
    const __m256i held = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)slots), dirty);
    const __m256i same = _mm256_cmpeq_epi64(held, _mm256_set1_epi64x((long long)(key | DIRTY)));
    return (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(same));
}

#define FIND4(slots, key) find4(slots, key)
#define BATCH batch_avx2
#include "batch_template.h"
