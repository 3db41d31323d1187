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

#define SCALAR(name, type, function, sp, sc, load, low)                                        \
    do {                                                                                       \
        int wrong = 0, checked = 0;                                                            \
        for (; checked < 500; checked++) {                                                     \
            type x = random_float(), y = random_float(), z = random_float();                   \
            __typeof__(load(x)) vx = load(x), vy = load(y), vz = load(z);                      \
            __asm__ volatile(name " %2, %1, %0" : "+x"(vx) : "x"(vy), "x"(vz));                \
            wrong += low(vx) != function(sp * x, y, sc * z);                                   \
        }                                                                                      \
        printf("%s-scalar %d %d 0\n", name, wrong, checked);                                   \
    } while (0)

static void packed_double(void)
{
    int wrong = 0, checked = 0;
    for (int round = 0; round < 500; round++) {
        double x[4], y[4], z[4], got[4];
        for (int i = 0; i < 4; i++)
            x[i] = random_float() * 1.1, y[i] = random_float() / 3.0, z[i] = random_float() / 7.0;
        __m256d v = _mm256_fmadd_pd(_mm256_loadu_pd(x), _mm256_loadu_pd(y), _mm256_loadu_pd(z));
        _mm256_storeu_pd(got, v);
        for (int i = 0; i < 4; i++, checked++)
            wrong += got[i] != fma(x[i], y[i], z[i]);
    }
    printf("vfmadd-pd %d %d 0\n", wrong, checked);
}

static void alternating(void)
{
    int wrong = 0, checked = 0;
    double worst = 0;
    for (int round = 0; round < 500; round++) {
        float x[8], y[8], z[8], got[8];
        for (int i = 0; i < 8; i++)
            x[i] = random_float(), y[i] = random_float(), z[i] = random_float();
        __m256 v = _mm256_fmaddsub_ps(_mm256_loadu_ps(x), _mm256_loadu_ps(y), _mm256_loadu_ps(z));
        _mm256_storeu_ps(got, v);
        for (int i = 0; i < 8; i++, checked++)
            check_lane(got[i], x[i], y[i], i % 2 ? z[i] : -z[i], &wrong, &worst);
    }
    printf("vfmaddsub-ps %d %d %.3f\n", wrong, checked, worst);
}

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
    SCALAR("vfmadd213ss", float, fmaf, 1, 1, _mm_set_ss, _mm_cvtss_f32);
    SCALAR("vfnmsub213ss", float, fmaf, -1, -1, _mm_set_ss, _mm_cvtss_f32);
    SCALAR("vfmadd213sd", double, fma, 1, 1, _mm_set_sd, _mm_cvtsd_f64);
    SCALAR("vfnmadd213sd", double, fma, -1, 1, _mm_set_sd, _mm_cvtsd_f64);
    packed_double();
    alternating();
    chain();
    return 0;
}
