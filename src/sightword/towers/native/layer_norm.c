/* Layer norm of float32 rows to bfloat16, and what it sends back: each a single pass over memory, in which what
   comes from elsewhere is added. */

#include "layer_norm.h"

enum { SLAB_ROWS = 64 }; /* whose sums for weight and bias are made in one go; layer_norm.py knows it */

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && __GNUC__ >= 11

#include <stdlib.h>

#include "tiled.h"

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

/* x + `added`, 32 numbers of each. */
TARGET static inline void add_some(const float *x, const uint16_t *added, __m512 *low, __m512 *high) {
    *low = _mm512_add_ps(_mm512_loadu_ps(x), widened(added));
    *high = _mm512_add_ps(_mm512_loadu_ps(x + SIDE), widened(added + SIDE));
}

/* A row's sum to where it belongs and, if `near` is not NULL, to what stays in the nearest cache. */
TARGET static inline void add_row(const Norming *n, int64_t row, int past, float *near) {
    Line line = line_of(n->rows, n->width, 1, row);
    const uint16_t *added = n->added + line.first;
    for (int64_t c = 0, i = row * n->width; c < n->width; c += WIDE, i += WIDE, added += line.step) {
        __m512 low, high;
        add_some(n->x + i, added, &low, &high);
        store_floats(n->sum + i, low, past);
        store_floats(n->sum + i + SIDE, high, past);
        if (!near) continue;
        _mm512_store_ps(near + c, low);
        _mm512_store_ps(near + c + SIDE, high);
    }
}

TARGET static inline void norm_row(const Norming *n, const float *row, const float *known, int64_t r, int past) {
    __m512 mean = _mm512_set1_ps(known[0]), inverse = _mm512_set1_ps(known[1]);
    Line line = line_of(n->rows, n->width, n->tiled, r);
    uint16_t *to = n->to + line.first;
    for (int64_t c = 0; c < n->width; c += WIDE, to += line.step) {
        __m512 a = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(row + c), mean), inverse);
        __m512 b = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(row + c + SIDE), mean), inverse);
        a = _mm512_fmadd_ps(a, _mm512_loadu_ps(n->weight + c), _mm512_loadu_ps(n->bias + c));
        b = _mm512_fmadd_ps(b, _mm512_loadu_ps(n->weight + c + SIDE), _mm512_loadu_ps(n->bias + c + SIDE));
        store_numbers(to, narrow(a, b), past);
    }
    if (n->tiled) repeat(n->to, n->rows, n->width, r);
}

/* Whether an answer of so many bytes a number is better not kept in the caches. */
static int too_much(int64_t rows, int64_t width, int64_t bytes) {
    return rows * width * bytes > REMEMBERED;
}

/* Slabs `first` to `last` of rows; -1 when there is no memory. */
TARGET int layer_norm_apply(const Norming *n, int64_t first, int64_t last) {
    int64_t end = last * SLAB_ROWS < n->rows ? last * SLAB_ROWS : n->rows;
    int past_sum = too_much(n->rows, n->width, 4), past = too_much(n->rows, n->width, 2);
    float *near = n->added && past_sum ? aligned_alloc(64, (size_t)n->width * sizeof *near) : NULL;
    if (n->added && past_sum && !near) return -1;
    for (int64_t r = first * SLAB_ROWS; r < end; r++) {
        if (n->added) add_row(n, r, past_sum, near);
        const float *row = near ? near : (n->added ? n->sum : n->x) + r * n->width;
        moments(row, n->width, n->eps, n->known + 2 * r, n->known + 2 * r + 1);
        norm_row(n, row, n->known + 2 * r, r, past);
    }
    free(near);
    return 0;
}

/* A row's two means of the gradient; `to_weight` and `to_bias` grow by what it sends there. */
TARGET static inline void sums_back(const Returning *n, int64_t row, Line line, float *to_weight, float *to_bias,
                                    float *plain, float *product) {
    const float *x = n->x + row * n->width;
    __m512 mean = _mm512_set1_ps(n->known[2 * row]), inverse = _mm512_set1_ps(n->known[2 * row + 1]);
    __m512 one = _mm512_setzero_ps(), two = one;
    const uint16_t *sent = n->sent + line.first;
    for (int64_t c = 0; c < n->width; c += SIDE, sent += c % WIDE ? SIDE : line.step - SIDE) {
        __m512 g = widened(sent);
        __m512 own = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(x + c), mean), inverse);
        _mm512_storeu_ps(to_bias + c, _mm512_add_ps(_mm512_loadu_ps(to_bias + c), g));
        _mm512_storeu_ps(to_weight + c, _mm512_fmadd_ps(g, own, _mm512_loadu_ps(to_weight + c)));
        g = _mm512_mul_ps(g, _mm512_loadu_ps(n->weight + c));
        one = _mm512_add_ps(one, g);
        two = _mm512_fmadd_ps(g, own, two);
    }
    float scale = 1.0f / (float)n->width;
    *plain = _mm512_reduce_add_ps(one) * scale;
    *product = _mm512_reduce_add_ps(two) * scale;
}

/* 16 numbers of a row's gradient, from `c` on. */
TARGET static inline __m512 some_back(const Returning *n, int64_t row, int64_t c, const uint16_t *sent, float plain,
                                      float product) {
    __m512 mean = _mm512_set1_ps(n->known[2 * row]), inverse = _mm512_set1_ps(n->known[2 * row + 1]);
    __m512 own = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(n->x + row * n->width + c), mean), inverse);
    __m512 g = _mm512_sub_ps(_mm512_mul_ps(widened(sent), _mm512_loadu_ps(n->weight + c)), _mm512_set1_ps(plain));
    g = _mm512_mul_ps(_mm512_fnmadd_ps(own, _mm512_set1_ps(product), g), inverse);
    return n->added ? _mm512_add_ps(g, _mm512_loadu_ps(n->added + row * n->width + c)) : g;
}

/* One row's gradient. */
TARGET static inline void row_back(const Returning *n, int64_t row, Line line, float plain, float product) {
    int past = too_much(n->rows, n->width, 4), past_rounded = too_much(n->rows, n->width, 2);
    Line short_line = line_of(n->rows, n->width, 1, row);
    const uint16_t *sent = n->sent + line.first;
    float *to = n->to + row * n->width;
    for (int64_t c = 0; c < n->width; c += WIDE, sent += line.step) {
        __m512 low = some_back(n, row, c, sent, plain, product), high = some_back(n, row, c + SIDE, sent + SIDE, plain, product);
        store_floats(to + c, low, past);
        store_floats(to + c + SIDE, high, past);
        if (n->rounded) store_numbers(n->rounded + at(short_line, c), narrow(low, high), past_rounded);
    }
    if (n->rounded) repeat(n->rounded, n->rows, n->width, row);
}

TARGET int layer_norm_back(const Returning *n, int64_t first, int64_t last) {
    for (int64_t slab = first; slab < last; slab++) {
        int64_t end = (slab + 1) * SLAB_ROWS < n->rows ? (slab + 1) * SLAB_ROWS : n->rows;
        float *own = n->partial + 2 * slab * n->width, plain, product;
        for (int64_t r = slab * SLAB_ROWS; r < end; r++) {
            Line line = line_of(n->rows, n->width, n->tiled, r);
            sums_back(n, r, line, own, own + n->width, &plain, &product);
            row_back(n, r, line, plain, product);
        }
    }
    return 0;
}

/* sum = x + `added`. */
TARGET int layer_norm_add(const Norming *n, int64_t first, int64_t last) {
    int64_t end = last * SLAB_ROWS < n->rows ? last * SLAB_ROWS : n->rows;
    for (int64_t r = first * SLAB_ROWS; r < end; r++) add_row(n, r, too_much(n->rows, n->width, 4), NULL);
    return 0;
}

/* to = x rounded, tiled. */
TARGET int layer_norm_round(const Norming *n, int64_t first, int64_t last) {
    int64_t end = last * SLAB_ROWS < n->rows ? last * SLAB_ROWS : n->rows;
    for (int64_t r = first * SLAB_ROWS; r < end; r++) {
        Line line = line_of(n->rows, n->width, 1, r);
        for (int64_t c = 0; c < n->width; c += WIDE)
            store_numbers(n->to + at(line, c), rounded(n->x + r * n->width + c), too_much(n->rows, n->width, 2));
        repeat(n->to, n->rows, n->width, r);
    }
    return 0;
}

#endif
