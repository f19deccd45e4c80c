/* Layer norm of float32 rows to bfloat16, and what it sends back: each a single pass over memory. */

#include <stdint.h>

enum { SLAB_ROWS = 64 }; /* whose sums for weight and bias are made in one go; layer_norm.py knows it */

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && __GNUC__ >= 11

#include "tiles.h"

/* Mean and inverse deviation of a row; the row stays in the nearest cache for it. */
TARGET static inline void moments(const float *x, int64_t width, float eps, float *mean, float *inverse) {
    __m512 one = _mm512_setzero_ps(), two = one;
    for (int64_t c = 0; c < width; c += WIDE) {
        one = _mm512_add_ps(one, _mm512_loadu_ps(x + c));
        two = _mm512_add_ps(two, _mm512_loadu_ps(x + c + SIDE));
    }
    *mean = _mm512_reduce_add_ps(_mm512_add_ps(one, two)) / (float)width;
    __m512 middle = _mm512_set1_ps(*mean);
    one = two = _mm512_setzero_ps();
    for (int64_t c = 0; c < width; c += WIDE) {
        __m512 a = _mm512_sub_ps(_mm512_loadu_ps(x + c), middle);
        __m512 b = _mm512_sub_ps(_mm512_loadu_ps(x + c + SIDE), middle);
        one = _mm512_fmadd_ps(a, a, one);
        two = _mm512_fmadd_ps(b, b, two);
    }
    float variance = _mm512_reduce_add_ps(_mm512_add_ps(one, two)) / (float)width;
    *inverse = 1.0f / __builtin_sqrtf(variance + eps);
}

/* Slabs `first` to `last` of rows, whose length is a multiple of 32. known: each row's mean and inverse deviation. */
TARGET void layer_norm_apply(const float *x, int64_t rows, int64_t width, float eps, const float *weight,
                             const float *bias, int64_t first, int64_t last, float *known, uint16_t *y) {
    int64_t end = last * SLAB_ROWS < rows ? last * SLAB_ROWS : rows;
    for (int64_t r = first * SLAB_ROWS; r < end; r++) {
        const float *row = x + r * width;
        moments(row, width, eps, known + 2 * r, known + 2 * r + 1);
        __m512 mean = _mm512_set1_ps(known[2 * r]), inverse = _mm512_set1_ps(known[2 * r + 1]);
        for (int64_t c = 0; c < width; c += WIDE) {
            __m512 a = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(row + c), mean), inverse);
            __m512 b = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(row + c + SIDE), mean), inverse);
            a = _mm512_fmadd_ps(a, _mm512_loadu_ps(weight + c), _mm512_loadu_ps(bias + c));
            b = _mm512_fmadd_ps(b, _mm512_loadu_ps(weight + c + SIDE), _mm512_loadu_ps(bias + c + SIDE));
            _mm512_storeu_si512(y + r * width + c, (__m512i)_mm512_cvtne2ps_pbh(b, a));
        }
    }
}

/* One row's gradient; `to_weight` and `to_bias` grow by what it sends there. */
TARGET static inline void row_back(const uint16_t *sent, const float *x, int64_t width, const float *known,
                                   const float *weight, float *to_weight, float *to_bias, float *to) {
    __m512 mean = _mm512_set1_ps(known[0]), inverse = _mm512_set1_ps(known[1]);
    __m512 plain = _mm512_setzero_ps(), product = plain;
    for (int64_t c = 0; c < width; c += SIDE) {
        __m512 g = widened(sent + c), own = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(x + c), mean), inverse);
        _mm512_storeu_ps(to_bias + c, _mm512_add_ps(_mm512_loadu_ps(to_bias + c), g));
        _mm512_storeu_ps(to_weight + c, _mm512_fmadd_ps(g, own, _mm512_loadu_ps(to_weight + c)));
        g = _mm512_mul_ps(g, _mm512_loadu_ps(weight + c));
        plain = _mm512_add_ps(plain, g);
        product = _mm512_fmadd_ps(g, own, product);
    }
    float scale = 1.0f / (float)width;
    __m512 one = _mm512_set1_ps(_mm512_reduce_add_ps(plain) * scale);
    __m512 two = _mm512_set1_ps(_mm512_reduce_add_ps(product) * scale);
    for (int64_t c = 0; c < width; c += SIDE) {
        __m512 own = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(x + c), mean), inverse);
        __m512 g = _mm512_sub_ps(_mm512_mul_ps(widened(sent + c), _mm512_loadu_ps(weight + c)), one);
        _mm512_storeu_ps(to + c, _mm512_mul_ps(_mm512_fnmadd_ps(own, two, g), inverse));
    }
}

/* partial: for each slab what it sends to weight, then what to bias; zeros before. */
TARGET void layer_norm_back(const uint16_t *sent, const float *x, int64_t rows, int64_t width, const float *known,
                            const float *weight, int64_t first, int64_t last, float *partial, float *to) {
    for (int64_t slab = first; slab < last; slab++) {
        int64_t end = (slab + 1) * SLAB_ROWS < rows ? (slab + 1) * SLAB_ROWS : rows;
        float *own = partial + 2 * slab * width;
        for (int64_t r = slab * SLAB_ROWS; r < end; r++)
            row_back(sent + r * width, x + r * width, width, known + 2 * r, weight, own, own + width, to + r * width);
    }
}

#else

void layer_norm_apply(const float *x, int64_t rows, int64_t width, float eps, const float *weight, const float *bias,
                      int64_t first, int64_t last, float *known, uint16_t *y) {
    (void)x, (void)rows, (void)width, (void)eps, (void)weight, (void)bias, (void)first, (void)last, (void)known, (void)y;
}

void layer_norm_back(const uint16_t *sent, const float *x, int64_t rows, int64_t width, const float *known,
                     const float *weight, int64_t first, int64_t last, float *partial, float *to) {
    (void)sent, (void)x, (void)rows, (void)width, (void)known, (void)weight, (void)first, (void)last, (void)partial;
    (void)to;
}

#endif
