/* For processors with AVX2. */
#pragma GCC target("avx2,bmi,bmi2")
#include "batch.h"

#include <immintrin.h>

INLINE __m256i load8(const Slot *slots)
{
    return _mm256_loadu_si256((const __m256i *)slots);
}

INLINE unsigned find(const Slot *slots, Slot key, unsigned n)
{
    const __m256i dirty = _mm256_set1_epi32(DIRTY), wanted = _mm256_set1_epi32((int)(key | DIRTY));
    unsigned found = 0;

#pragma GCC unroll 4
    for (unsigned i = 0; i < n; i += 8) {
        const __m256i same = _mm256_cmpeq_epi32(_mm256_or_si256(load8(slots + i), dirty), wanted);
        found |= (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(same)) << i;
    }
    return found;
}

/* In each group of slots: move it up by a lane, behind the last lane of the group before,
 * and keep what lies beyond `to`. */
INLINE void push(Slot *slots, Slot front, unsigned to, unsigned n)
{
    const __m256i at = _mm256_set1_epi32(__builtin_ctz(to));
    __m256i before = _mm256_set1_epi32((int)front);

#pragma GCC unroll 4
    for (int i = 0; i < (int)n; i += 8) {
        const __m256i held = load8(slots + i);
        const __m256i lanes = _mm256_setr_epi32(i, i + 1, i + 2, i + 3, i + 4, i + 5, i + 6, i + 7);
        const __m256i moved = _mm256_permutevar8x32_epi32(_mm256_blend_epi32(held, before, 0x80),
                                                          _mm256_setr_epi32(7, 0, 1, 2, 3, 4, 5, 6));
        const __m256i kept = _mm256_cmpgt_epi32(lanes, at);
        _mm256_storeu_si256((__m256i *)(slots + i), _mm256_blendv_epi8(moved, held, kept));
        before = held;
    }
}

#define LANE(p, lane) ((lane) == 0 ? (p) : (lane) <= (p) ? (lane) - 1 : (lane))
#define ROW(p)                                                                                 \
    {LANE(p, 0), LANE(p, 1), LANE(p, 2), LANE(p, 3), LANE(p, 4), LANE(p, 5), LANE(p, 6), LANE(p, 7)}
#define ROWS ROW(0), ROW(1), ROW(2), ROW(3), ROW(4), ROW(5), ROW(6), ROW(7)
#define ALL {-1, -1, -1, -1, -1, -1, -1, -1}
#define BUT_FIRST {0, -1, -1, -1, -1, -1, -1, -1}

/* The lanes of a set after its slot of that number is used, and again for when it is
 * replaced. */
static const _Alignas(32) int moved_lanes[16][8] = {ROWS, ROWS};
static const _Alignas(32) int kept_lanes[16][8] = {
    ALL,       ALL,       ALL,       ALL,       ALL,       ALL,       ALL,       ALL,
    BUT_FIRST, BUT_FIRST, BUT_FIRST, BUT_FIRST, BUT_FIRST, BUT_FIRST, BUT_FIRST, BUT_FIRST};

INLINE unsigned use_eight(Slot *slots, Slot used, unsigned ways)
{
    const unsigned found = find(slots, used, 8);
    const unsigned row = (unsigned)__builtin_ctz(found | 1u << (7 + ways));
    const __m256i lanes = _mm256_load_si256((const __m256i *)moved_lanes[row]);
    const __m256i kept = _mm256_load_si256((const __m256i *)kept_lanes[row]);
    const __m256i moved = _mm256_and_si256(_mm256_permutevar8x32_epi32(load8(slots), lanes), kept);
    const __m256i front = _mm256_zextsi128_si256(_mm_cvtsi32_si128((int)used));

    _mm256_storeu_si256((__m256i *)slots, _mm256_or_si256(moved, front));
    return found;
}

INLINE unsigned use(Slot *slots, Slot used, unsigned ways, unsigned n)
{
    if (n == 8)
        return use_eight(slots, used, ways);
    const unsigned found = find(slots, used, n);
    const unsigned to = found | 1u << (ways - 1);
    push(slots, used | (found != 0 ? slots[__builtin_ctz(to)] : 0), to, n);
    return found;
}

/* Whether any word is not 0. */
INLINE int any(Words words)
{
    const __m256i *halves = (const __m256i *)&words;
    const __m256i both = _mm256_or_si256(_mm256_loadu_si256(halves), _mm256_loadu_si256(halves + 1));
    return !_mm256_testz_si256(both, both);
}

#define BATCH batch_avx2
#include "batch_template.h"
