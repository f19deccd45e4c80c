/* GELU in its three forms, and its slope, of 16 float32 numbers at a time. */

#ifndef SIGHTWORD_ACTIVATION_H
#define SIGHTWORD_ACTIVATION_H

#include "gelu.h"
#include "tiles.h"

enum { NO_ACTIVATION, GELU, GELU_TANH, QUICK_GELU };

#define ALL(number) _mm512_set1_ps(number)

/* e to the x, x at most 0: 2 to a whole number, times Taylor's series of what is left, which is at most ln 2 / 2. */
TARGET static inline __m512 exponential(__m512 x) {
    __m512 scaled = _mm512_mul_ps(_mm512_max_ps(x, ALL(-87.0f)), ALL(1.44269504f));
    __m512 whole = _mm512_roundscale_ps(scaled, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 rest = _mm512_mul_ps(_mm512_sub_ps(scaled, whole), ALL(0.693147181f)), sum = ALL(1 / 720.0f);
    sum = _mm512_fmadd_ps(sum, rest, ALL(1 / 120.0f));
    sum = _mm512_fmadd_ps(sum, rest, ALL(1 / 24.0f));
    sum = _mm512_fmadd_ps(sum, rest, ALL(1 / 6.0f));
    sum = _mm512_fmadd_ps(sum, rest, ALL(0.5f));
    sum = _mm512_fmadd_ps(sum, rest, ALL(1.0f));
    sum = _mm512_fmadd_ps(sum, rest, ALL(1.0f));
    return _mm512_scalef_ps(sum, whole);
}

TARGET static inline __m512 reciprocal(__m512 x) {
    __m512 near = _mm512_rcp14_ps(x);
    return _mm512_mul_ps(near, _mm512_fnmadd_ps(x, near, ALL(2.0f)));
}

/* x / (1 + exp(-u)), where u is a function of x and `rise` its slope. */
TARGET static inline Activated gated(__m512 x, __m512 u, __m512 rise) {
    __m512 small = exponential(_mm512_sub_ps(_mm512_setzero_ps(), _mm512_abs_ps(u)));
    __m512 one = reciprocal(_mm512_add_ps(small, ALL(1.0f))), other = _mm512_mul_ps(small, one);
    __m512 gate = _mm512_mask_mov_ps(other, _mm512_cmp_ps_mask(u, _mm512_setzero_ps(), _CMP_GT_OQ), one);
    __m512 value = _mm512_mul_ps(x, gate), steep = _mm512_mul_ps(_mm512_mul_ps(one, other), rise);
    return (Activated){value, _mm512_fmadd_ps(x, steep, gate)};
}

/* As `gelu`, with tanh in Phi's place: (1 + tanh(u / 2)) / 2 is 1 / (1 + exp(-u)). Beyond 12 all is said. */
TARGET static inline Activated gelu_tanh(__m512 x) {
    const float scale = 2 * 0.797884561f, third = scale * 0.044715f;
    __m512 near = _mm512_min_ps(_mm512_abs_ps(x), ALL(12.0f)), square = _mm512_mul_ps(near, near);
    __m512 u = _mm512_mul_ps(x, _mm512_fmadd_ps(square, ALL(third), ALL(scale)));
    return gated(x, u, _mm512_fmadd_ps(square, ALL(3 * third), ALL(scale)));
}

TARGET static inline Activated quick_gelu(__m512 x) {
    return gated(x, _mm512_mul_ps(x, ALL(1.702f)), ALL(1.702f));
}

TARGET static inline Activated activated(int kind, __m512 x) {
    return kind == GELU ? gelu(x) : kind == GELU_TANH ? gelu_tanh(x) : quick_gelu(x);
}

#endif
