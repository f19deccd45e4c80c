/* Layer norm of float32 rows to bfloat16, and what it sends back: each a single pass over memory, in which what
   comes from elsewhere is added. */

#include "layer_norm.h"

enum { SLAB_ROWS = 64 }; /* whose sums for weight and bias are made in one go; layer_norm.py knows it */

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && __GNUC__ >= 11

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

TARGET static inline void add_row(const float *x, const uint16_t *added, Line line, int64_t width, float *to) {
    for (int64_t c = 0; c < width; c += SIDE)
        _mm512_storeu_ps(to + c, _mm512_add_ps(_mm512_loadu_ps(x + c), widened(added + at(line, c))));
}

TARGET static inline void norm_row(const Norming *n, const float *row, const float *known, Line line) {
    __m512 mean = _mm512_set1_ps(known[0]), inverse = _mm512_set1_ps(known[1]);
    for (int64_t c = 0; c < n->width; c += WIDE) {
        __m512 a = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(row + c), mean), inverse);
        __m512 b = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(row + c + SIDE), mean), inverse);
        a = _mm512_fmadd_ps(a, _mm512_loadu_ps(n->weight + c), _mm512_loadu_ps(n->bias + c));
        b = _mm512_fmadd_ps(b, _mm512_loadu_ps(n->weight + c + SIDE), _mm512_loadu_ps(n->bias + c + SIDE));
        _mm512_storeu_si512(n->to + at(line, c), (__m512i)_mm512_cvtne2ps_pbh(b, a));
    }
}

/* Slabs `first` to `last` of rows. */
TARGET int layer_norm_apply(const Norming *n, int64_t first, int64_t last) {
    int64_t end = last * SLAB_ROWS < n->rows ? last * SLAB_ROWS : n->rows;
    for (int64_t r = first * SLAB_ROWS; r < end; r++) {
        const float *row = n->x + r * n->width;
        if (n->added) {
            add_row(row, n->added, line_of(n->rows, n->width, 1, r), n->width, n->sum + r * n->width);
            row = n->sum + r * n->width;
        }
        moments(row, n->width, n->eps, n->known + 2 * r, n->known + 2 * r + 1);
        norm_row(n, row, n->known + 2 * r, line_of(n->rows, n->width, n->tiled, r));
        if (n->tiled) repeat(n->to, n->rows, n->width, r);
    }
    return 0;
}

/* A row's two means of the gradient; `to_weight` and `to_bias` grow by what it sends there. */
TARGET static inline void sums_back(const Returning *n, int64_t row, Line line, float *to_weight, float *to_bias,
                                    float *plain, float *product) {
    const float *x = n->x + row * n->width;
    __m512 mean = _mm512_set1_ps(n->known[2 * row]), inverse = _mm512_set1_ps(n->known[2 * row + 1]);
    __m512 one = _mm512_setzero_ps(), two = one;
    for (int64_t c = 0; c < n->width; c += SIDE) {
        __m512 g = widened(n->sent + at(line, c));
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

/* One row's gradient. */
TARGET static inline void row_back(const Returning *n, int64_t row, Line line, float plain, float product) {
    const float *x = n->x + row * n->width;
    float *to = n->to + row * n->width;
    __m512 mean = _mm512_set1_ps(n->known[2 * row]), inverse = _mm512_set1_ps(n->known[2 * row + 1]);
    __m512 one = _mm512_set1_ps(plain), two = _mm512_set1_ps(product);
    for (int64_t c = 0; c < n->width; c += SIDE) {
        __m512 own = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(x + c), mean), inverse);
        __m512 g = _mm512_sub_ps(_mm512_mul_ps(widened(n->sent + at(line, c)), _mm512_loadu_ps(n->weight + c)), one);
        g = _mm512_mul_ps(_mm512_fnmadd_ps(own, two, g), inverse);
        if (n->added) g = _mm512_add_ps(g, _mm512_loadu_ps(n->added + row * n->width + c));
        _mm512_storeu_ps(to + c, g);
    }
    if (!n->rounded) return;
    Line short_line = line_of(n->rows, n->width, 1, row);
    for (int64_t c = 0; c < n->width; c += WIDE)
        _mm512_storeu_si512(n->rounded + at(short_line, c), rounded(to + c));
    repeat(n->rounded, n->rows, n->width, row);
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
    for (int64_t r = first * SLAB_ROWS; r < end; r++)
        add_row(n->x + r * n->width, n->added, line_of(n->rows, n->width, 1, r), n->width, n->sum + r * n->width);
    return 0;
}

/* to = x rounded, tiled. */
TARGET int layer_norm_round(const Norming *n, int64_t first, int64_t last) {
    int64_t end = last * SLAB_ROWS < n->rows ? last * SLAB_ROWS : n->rows;
    for (int64_t r = first * SLAB_ROWS; r < end; r++) {
        Line line = line_of(n->rows, n->width, 1, r);
        for (int64_t c = 0; c < n->width; c += WIDE)
            _mm512_storeu_si512(n->to + at(line, c), rounded(n->x + r * n->width + c));
        repeat(n->to, n->rows, n->width, r);
    }
    return 0;
}

#endif
