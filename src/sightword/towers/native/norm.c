/* Batch norm with what follows it (a sum, a ReLU) over rows of channels, in bfloat16 or float32.

   Ioffe and Szegedy 2015 (arXiv 1502.03167), algorithm 1, and its gradient. Sums are in float32. */

#include "norm.h"

#include <math.h>

#define PASTE(a, b) a##b
#define JOINED(a, b) PASTE(a, b)

#define TARGET
#define NUMBER uint16_t
#define UP from_bf16
#define DOWN to_bf16
#define KEPT kept_bf16
#define NAME(name) name##_bf16_plain
#include "norm_rows.h"
#undef NUMBER
#undef UP
#undef DOWN
#undef KEPT
#undef NAME
#define NUMBER float
#define UP from_float
#define DOWN to_float
#define KEPT kept_float
#define NAME(name) name##_float_plain
#include "norm_rows.h"
#undef NUMBER
#undef UP
#undef DOWN
#undef KEPT
#undef NAME
#undef TARGET

#if defined(__x86_64__)
#define TARGET __attribute__((target("avx2,avx512f,avx512bw,avx512vl,avx512dq,prefer-vector-width=512")))
#define NUMBER uint16_t
#define UP from_bf16
#define DOWN to_bf16
#define KEPT kept_bf16
#define NAME(name) name##_bf16_avx512
#include "norm_rows.h"
#undef NUMBER
#undef UP
#undef DOWN
#undef KEPT
#undef NAME
#define NUMBER float
#define UP from_float
#define DOWN to_float
#define KEPT kept_float
#define NAME(name) name##_float_avx512
#include "norm_rows.h"
#undef NUMBER
#undef UP
#undef DOWN
#undef KEPT
#undef NAME
#undef TARGET
#if defined(__GNUC__) && __GNUC__ >= 11
#define HAND 1
#define TARGET __attribute__((target("avx2,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))
#include <immintrin.h>
#include "norm_bf16.h"
#undef TARGET
#endif
#endif

typedef struct {
    void (*moments)(const void *, int64_t, int64_t, int64_t, int64_t, float *);
    void (*sums)(const void *, const void *, const void *, int64_t, int64_t, int64_t, int64_t, const float *,
                 const float *, const float *, float *);
    void (*apply)(const void *, const void *, int64_t, int64_t, int64_t, const float *, const float *, int, void *);
    void (*back)(const void *, const void *, const void *, int64_t, int64_t, int64_t, const float *const *, const float *,
                 const float *, void *, void *);
} Passes;

static const Passes PLAIN[2] = {{moments_float_plain, sums_float_plain, apply_float_plain, back_float_plain},
                                {moments_bf16_plain, sums_bf16_plain, apply_bf16_plain, back_bf16_plain}};
#if defined(__x86_64__)
static const Passes AVX512[2] = {{moments_float_avx512, sums_float_avx512, apply_float_avx512, back_float_avx512},
                                 {moments_bf16_avx512, sums_bf16_avx512, apply_bf16_avx512, back_bf16_avx512}};
#endif
#if defined(HAND)
static const Passes BY_HAND = {moments_bf16_hand, sums_bf16_hand, apply_bf16_hand, back_bf16_hand};
#endif

/* Of bfloat16 (`half` 1) or float32 (0), by the widest instructions that there are and `level` allows. */
static const Passes *passes(const BatchNorm *n) {
    int64_t half = n->half != 0, level = n->level;
#if defined(__x86_64__)
    __builtin_cpu_init();
#if defined(HAND)
    if (half && level >= 3 && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        return &BY_HAND;
#endif
    if (level >= 2 && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        return &AVX512[half];
#endif
    (void)level;
    return &PLAIN[half];
}

int norm_version(void) {
    return NORM_VERSION;
}

int64_t norm_slabs(int64_t rows) {
    return (rows + SLAB - 1) / SLAB;
}

static int64_t end_of(const BatchNorm *n, int64_t last) {
    return last * SLAB < n->rows ? last * SLAB : n->rows;
}

int norm_moments(const BatchNorm *n, int64_t first, int64_t last) {
    passes(n)->moments(n->x, n->rows, n->channels, first, last, n->partial);
    return 0;
}

int norm_apply(const BatchNorm *n, int64_t first, int64_t last) {
    passes(n)->apply(n->x, n->added, n->channels, first * SLAB, end_of(n, last), n->scale, n->shift, (int)n->rectified,
                     n->to);
    return 0;
}

int norm_sums(const BatchNorm *n, int64_t first, int64_t last) {
    passes(n)->sums(n->sent, n->x, n->y, n->rows, n->channels, first, last, n->mean, n->scale, n->shift, n->partial);
    return 0;
}

int norm_back(const BatchNorm *n, int64_t first, int64_t last) {
    passes(n)->back(n->sent, n->x, n->y, n->channels, first * SLAB, end_of(n, last), n->known, n->scale, n->shift, n->to,
                    n->to_added);
    return 0;
}

static double rows_of(int64_t slab, int64_t rows) {
    int64_t left = rows - slab * SLAB;
    return (double)(left < SLAB ? left : SLAB);
}

/* Mean and deviation of all slabs (Chan, Golub and LeVeque 1983, equation 2.1), and what `apply` needs.

   `running` is two pointers, both NULL where nothing is counted: mean, and unbiased variance. */
void norm_join(const float *partial, int64_t rows, int64_t channels, float eps, const float *weight, const float *bias,
               float *mean, float *inverse, float *scale, float *shift, float *running_mean, float *running_variance,
               float momentum) {
    int64_t slabs = norm_slabs(rows);
    for (int64_t c = 0; c < channels; c++) {
        double middle = 0, squares = 0;
        for (int64_t s = 0; s < slabs; s++) middle += rows_of(s, rows) * (double)partial[2 * s * channels + c];
        middle /= (double)rows;
        for (int64_t s = 0; s < slabs; s++) {
            double away = (double)partial[2 * s * channels + c] - middle;
            squares += (double)partial[(2 * s + 1) * channels + c] + rows_of(s, rows) * away * away;
        }
        double variance = squares / (double)rows;
        mean[c] = (float)middle;
        inverse[c] = (float)(1 / sqrt(variance + (double)eps));
        scale[c] = (weight ? weight[c] : 1) * inverse[c];
        shift[c] = (bias ? bias[c] : 0) - mean[c] * scale[c];
        if (!running_mean) continue;
        running_mean[c] += momentum * ((float)middle - running_mean[c]);
        running_variance[c] += momentum * ((float)(squares / (double)(rows > 1 ? rows - 1 : 1)) - running_variance[c]);
    }
}

/* From the slabs' sums to the gradients of weight and bias, and to what `back` needs. */
void norm_join_back(const float *partial, int64_t rows, int64_t channels, const float *mean, const float *inverse,
                    const float *weight, float *one, float *two, float *three, float *to_weight, float *to_bias) {
    int64_t slabs = norm_slabs(rows);
    for (int64_t c = 0; c < channels; c++) {
        double plain = 0, product = 0, wide = (double)inverse[c];
        for (int64_t s = 0; s < slabs; s++) {
            plain += (double)partial[2 * s * channels + c];
            product += (double)partial[(2 * s + 1) * channels + c];
        }
        double scale = (weight ? (double)weight[c] : 1) * wide;
        double slope = -scale * wide * wide * product / (double)rows;
        one[c] = (float)scale;
        two[c] = (float)slope;
        three[c] = (float)(-scale * plain / (double)rows - slope * (double)mean[c]);
        to_weight[c] = (float)(product * wide);
        to_bias[c] = (float)plain;
    }
}
