/* Every form of fused multiply-add on pseudo-random operands.
 *
 * Packed single precision may be rounded twice: each lane must lie within half an ulp of the
 * product plus half an ulp of the result (plus half an ulp again, of the exact value to which
 * both are compared). All other forms must equal fma() and fmaf(). Prints "FORM WRONG CHECKED
 * WORST", the last in the units of that bound.
 */
#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint64_t state = 88172645463325252u;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static float random_float(void)
{
    float f = ldexpf((float)(next() >> 40) / (1 << 24) + 0.5f, (int)(next() % 24) - 12);
    return next() & 1 ? f : -f;
}

static double half_ulp(float f)
{
    return 0.5 * (double)(nextafterf(fabsf(f), INFINITY) - fabsf(f));
}

static void check_lane(float got, float a, float b, float c, int *wrong, double *worst)
{
    const double exact = (double)a * b + c;
    const double bound = half_ulp(a * b) + half_ulp((float)exact);
    const double off = fabs(got - exact) / bound;
    *wrong += !(off <= 1.0 + 1e-6);
    if (off > *worst)
        *worst = off;
}

/* OPERANDS: 132, 213 or 231; SIGN_P and SIGN_C: signs of product and addend. The registers
 * hold x, y, z in the instruction's order (destination first, memory or register last). */
#define PACKED(name, vector, lanes, load, store, x1, x2, x3, sign_p, sign_c, source)           \
    do {                                                                                       \
        int wrong = 0, checked = 0;                                                            \
        double worst = 0;                                                                      \
        for (int round = 0; round < 500; round++) {                                            \
            float x[8], y[8], z[8], got[8];                                                    \
            for (int i = 0; i < lanes; i++)                                                    \
                x[i] = random_float(), y[i] = random_float(), z[i] = random_float();           \
            vector vx = load(x), vy = load(y), vz = load(z);                                   \
            if (source)                                                                        \
                __asm__ volatile(name " %2, %1, %0" : "+x"(vx) : "x"(vy), "m"(*(vector *)z));  \
            else                                                                               \
                __asm__ volatile(name " %2, %1, %0" : "+x"(vx) : "x"(vy), "x"(vz));            \
            store(got, vx);                                                                    \
            const float *o[4] = {0, x, y, z};                                                  \
            for (int i = 0; i < lanes; i++, checked++)                                         \
                check_lane(got[i], sign_p * o[x1][i], o[x2][i], sign_c * o[x3][i], &wrong,     \
                           &worst);                                                            \
        }                                                                                      \
        printf("%s-%s-%s %d %d %.3f\n", name, #vector, source ? "memory" : "register", wrong,  \
               checked, worst);                                                                \
    } while (0)

#define WIDTHS(name, x1, x2, x3, sp, sc)                                                       \
    PACKED(name, __m256, 8, _mm256_loadu_ps, _mm256_storeu_ps, x1, x2, x3, sp, sc, 0);         \
    PACKED(name, __m256, 8, _mm256_loadu_ps, _mm256_storeu_ps, x1, x2, x3, sp, sc, 1);         \
    PACKED(name, __m128, 4, _mm_loadu_ps, _mm_storeu_ps, x1, x2, x3, sp, sc, 0);               \
    PACKED(name, __m128, 4, _mm_loadu_ps, _mm_storeu_ps, x1, x2, x3, sp, sc, 1)

#define ORDERS(stem, sp, sc)                                                                   \
    WIDTHS(stem "132ps", 1, 3, 2, sp, sc);                                                     \
    WIDTHS(stem "213ps", 1, 2, 3, sp, sc);                                                     \
    WIDTHS(stem "231ps", 2, 3, 1, sp, sc)

/* Scalar and double-precision forms: as fma() has them. Names as in PACKED. */
#define EXACT(name, vector, type, lanes, function, load, store, x1, x2, x3, sp, sc, source)    \
    do {                                                                                       \
        int wrong = 0, checked = 0;                                                            \
        for (int round = 0; round < 200; round++) {                                            \
            type x[4], y[4], z[4], got[4];                                                     \
            for (int i = 0; i < 4; i++)                                                        \
                x[i] = random_float() / 3, y[i] = random_float() / 3, z[i] = random_float() / 7; \
            vector vx = load(x), vy = load(y), vz = load(z);                                   \
            if (source)                                                                        \
                __asm__ volatile(name " %2, %1, %0" : "+x"(vx) : "x"(vy), "m"(*(vector *)z));  \
            else                                                                               \
                __asm__ volatile(name " %2, %1, %0" : "+x"(vx) : "x"(vy), "x"(vz));            \
            store(got, vx);                                                                    \
            const type *o[4] = {0, x, y, z};                                                   \
            for (int i = 0; i < lanes; i++, checked++)                                         \
                wrong += got[i] != function(sp * o[x1][i], o[x2][i], sc * o[x3][i]);           \
        }                                                                                      \
        printf("%s-exact-%s %d %d 0\n", name, source ? "memory" : "register", wrong, checked);  \
    } while (0)

#define EXACT_TYPES(stem, order, x1, x2, x3, sp, sc, source)                                   \
    EXACT(stem order "ss", __m128, float, 1, fmaf, _mm_loadu_ps, _mm_storeu_ps, x1, x2, x3, sp, \
          sc, source);                                                                         \
    EXACT(stem order "sd", __m128d, double, 1, fma, _mm_loadu_pd, _mm_storeu_pd, x1, x2, x3, sp, \
          sc, source);                                                                         \
    EXACT(stem order "pd", __m256d, double, 4, fma, _mm256_loadu_pd, _mm256_storeu_pd, x1, x2, x3, \
          sp, sc, source)

#define EXACT_ORDERS(stem, sp, sc, source)                                                     \
    EXACT_TYPES(stem, "132", 1, 3, 2, sp, sc, source);                                         \
    EXACT_TYPES(stem, "213", 1, 2, 3, sp, sc, source);                                         \
    EXACT_TYPES(stem, "231", 2, 3, 1, sp, sc, source)

#define EXACT_FORMS(stem, sp, sc)                                                              \
    EXACT_ORDERS(stem, sp, sc, 0);                                                             \
    EXACT_ORDERS(stem, sp, sc, 1)

/* FMADDSUB subtracts in even lanes, FMSUBADD in odd ones. */
#define ALTERNATING(function, subtracting)                                                     \
    do {                                                                                       \
        int wrong = 0, checked = 0;                                                            \
        double worst = 0;                                                                      \
        for (int round = 0; round < 500; round++) {                                            \
            float x[8], y[8], z[8], got[8];                                                    \
            for (int i = 0; i < 8; i++)                                                        \
                x[i] = random_float(), y[i] = random_float(), z[i] = random_float();           \
            _mm256_storeu_ps(got, function(_mm256_loadu_ps(x), _mm256_loadu_ps(y),             \
                                           _mm256_loadu_ps(z)));                               \
            for (int i = 0; i < 8; i++, checked++)                                             \
                check_lane(got[i], x[i], y[i], i % 2 == subtracting ? -z[i] : z[i], &wrong,    \
                           &worst);                                                            \
        }                                                                                      \
        printf("%s-ps %d %d %.3f\n", #function, wrong, checked, worst);                        \
    } while (0)

/* A chain in registers, as in the kernels of a network, with a broadcast operand. */
static void chain(void)
{
    float a[32], b[16], got[16];
    int wrong = 0;

    for (int i = 0; i < 32; i++)
        a[i] = random_float();
    for (int i = 0; i < 16; i++)
        b[i] = random_float();
    __m256 s0 = _mm256_setzero_ps(), s1 = _mm256_set1_ps(1.5f);
    for (int k = 0; k < 32; k++) {
        __m256 v = _mm256_broadcast_ss(a + k);
        s0 = _mm256_fmadd_ps(v, _mm256_loadu_ps(b), s0);
        s1 = _mm256_fnmadd_ps(_mm256_loadu_ps(b + 8), v, s1);
    }
    _mm256_storeu_ps(got, s0);
    _mm256_storeu_ps(got + 8, s1);
    for (int i = 0; i < 16; i++) {
        double sum = i < 8 ? 0 : 1.5, magnitude = 1.5;
        for (int k = 0; k < 32; k++) {
            sum += (i < 8 ? 1 : -1) * (double)a[k] * b[i];
            magnitude += fabs((double)a[k] * b[i]);
        }
        wrong += !(fabs(got[i] - sum) <= 64 * 6e-8 * magnitude);
    }
    printf("chain %d 16 0\n", wrong);
}

int main(void)
{
    ORDERS("vfmadd", 1, 1);
    ORDERS("vfmsub", 1, -1);
    ORDERS("vfnmadd", -1, 1);
    ORDERS("vfnmsub", -1, -1);
    EXACT_FORMS("vfmadd", 1, 1);
    EXACT_FORMS("vfmsub", 1, -1);
    EXACT_FORMS("vfnmadd", -1, 1);
    EXACT_FORMS("vfnmsub", -1, -1);
    ALTERNATING(_mm256_fmaddsub_ps, 0);
    ALTERNATING(_mm256_fmsubadd_ps, 1);
    chain();
    return 0;
}
