/* Linear layers over many rows in bfloat16: one product of rows and weights, and what is done to its sums. */

#ifndef SIGHTWORD_LINEAR_H
#define SIGHTWORD_LINEAR_H

#include <stdint.h>

/* Rows lie one after the other, or tiled: in blocks of 32 rows by 32 numbers, each in one piece, all blocks of 32 rows
   one after the other. Where rows are no multiple of 32 the last blocks are of the last 32 rows, of which some are in
   those before as well. */

/* rows x in, times weights packed by `convolution_pack`, to rows x out. */
typedef struct {
    int64_t rows, in, out;
    int64_t tiled_from, tiled_to; /* whether `from`, and `to` with `slope`, are tiled */
    const uint16_t *from, *weights;
    const float *bias;  /* of each output, added; or NULL */
    int64_t activation; /* of activation.h, of the sums: its answer goes to `to`, its slope to `slope` */
    uint16_t *slope;    /* rows x out; where there is no activation what the sums are multiplied by; or NULL */
    uint16_t *to;
} Product;

/* The gradient of weights: the sum of `left`'s rows times `right`'s. */
typedef struct {
    int64_t rows, left, right; /* how many, and numbers in a row of either side */
    int64_t tiled_left, tiled_right;
    const uint16_t *from_left, *from_right;
    uint16_t *packed;    /* room for `left`'s rows as tiles */
    float *total_left;   /* chunks of rows x numbers: each column's sum over a chunk; or NULL */
    float *total_right;  /* the same */
    int64_t turned;      /* whether the answer is right x left, instead of left x right */
    float *to;
} Weighing;

#endif
