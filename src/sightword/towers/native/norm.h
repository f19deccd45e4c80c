/* Batch norm of rows of channels: what kernel.py calls, and what the two kinds of numbers share.

   Rows are cut into slabs of SLAB; each slab's sums are kept apart and joined in their order. So the result
   does not depend on how many threads share the slabs, nor on the processor's instructions. */

#ifndef SIGHTWORD_NORM_H
#define SIGHTWORD_NORM_H

#include <stdint.h>
#include <string.h>

enum { NORM_VERSION = 14, SLAB = 256, BLOCK = 64 };

/* What a pass reads and writes; NULL where it has none of that. Its parts are slabs of rows. */
typedef struct {
    int64_t half, level, rectified; /* half: bfloat16, else float32; level: see `passes` */
    int64_t rows, channels;
    const void *x, *added, *y, *sent; /* y: the answer where something was added; sent: its gradient */
    const float *mean, *scale, *shift, *known[3];
    float *partial;     /* for each slab two rows of sums */
    void *to, *to_added;
} BatchNorm;

static inline float from_bf16(uint16_t bits) {
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

/* To the nearest, ties to even; what is not a number stays none. */
static inline uint16_t to_bf16(float value) {
    uint32_t wide;
    memcpy(&wide, &value, sizeof wide);
    uint32_t rounded = (wide + 0x7fffu + ((wide >> 16) & 1u)) >> 16;
    uint32_t none = (wide >> 16) | 0x40u;
    return (uint16_t)((wide & 0x7fffffffu) > 0x7f800000u ? none : rounded);
}

/* The gradient behind a ReLU whose answer was `out`: none where that is zero. By bits, so without a branch. */
static inline float kept_bf16(uint16_t out, uint16_t gradient) {
    return from_bf16((uint16_t)(gradient & -(uint16_t)((out & 0x7fffu) != 0)));
}

static inline float kept_float(float out, float gradient) {
    uint32_t bits, own;
    memcpy(&bits, &out, sizeof bits);
    memcpy(&own, &gradient, sizeof own);
    own &= -(uint32_t)((bits & 0x7fffffffu) != 0);
    memcpy(&gradient, &own, sizeof own);
    return gradient;
}

/* `number` where value is above zero, otherwise 0. */
static inline float where_above(float value, float number) {
    uint32_t own;
    memcpy(&own, &number, sizeof own);
    own &= -(uint32_t)(value > 0);
    memcpy(&number, &own, sizeof own);
    return number;
}

static inline float from_float(float value) {
    return value;
}

static inline float to_float(float value) {
    return value;
}

#endif
