/* Layer norm of float32 rows to bfloat16, and what it sends back. */

#ifndef SIGHTWORD_LAYER_NORM_H
#define SIGHTWORD_LAYER_NORM_H

#include <stdint.h>

/* `to` = the norm of x, or of `sum` = x + `added`; or that sum alone, or x rounded. */
typedef struct {
    int64_t rows, width; /* rows are a multiple of 32 long */
    float eps;
    const float *x, *weight, *bias;
    const uint16_t *added; /* tiled; or NULL */
    float *sum, *known;    /* known: each row's mean and inverse deviation */
    int64_t tiled;         /* whether `to` is */
    uint16_t *to;
} Norming;

/* What is sent to the norm's answer, sent on to x; `added` is sent to x as well. */
typedef struct {
    int64_t rows, width;
    int64_t tiled; /* whether `sent` is */
    const uint16_t *sent;
    const float *x, *known, *weight;
    const float *added; /* or NULL */
    float *partial, *to; /* partial: for each slab what it sends to weight, then what to bias; zeros before */
    uint16_t *rounded;   /* `to` again, tiled; or NULL */
} Returning;

#endif
