/* Convolutions of many small maps in bfloat16: what is known of one, and which places meet which. */

#ifndef SIGHTWORD_CONVOLUTION_H
#define SIGHTWORD_CONVOLUTION_H

#include <stdint.h>

/* A map of rows of channels: numbers from picture to picture and from place to place; places are counted row by row. */
typedef struct {
    int64_t height, width, channels, picture, place;
} Map;

typedef struct {
    int64_t batch;
    Map in, out;
    int64_t high, wide, down, right, above, left; /* kernel, stride, padding */
} Convolution;

/* One step of it. `from`: its input; backward, and for weights' gradient, what was sent to its answer. */
typedef struct {
    const Convolution *shape;
    int64_t back;
    const uint16_t *from, *weights, *more; /* weights: from `convolution_pack`; more: what lies as `to` and is added; or NULL */
    uint16_t *to;
    const uint16_t *seen; /* of weights' gradient: the input */
    float *to_weight;
    const uint8_t *pictures; /* of patches: channels x height x width, which are scaled and shifted */
    const float *scale, *shift;
} Convolving;

/* Weights to be packed: out x high x wide x in, of so many taps. */
typedef struct {
    const float *weight;
    int64_t taps, in, out, back;
    uint16_t *to;
} Packing;

/* The kernel's taps by which an output's place sees the input, and at which places; how many there are. */
static inline int64_t seen(const Convolution *c, int64_t place, int32_t *taps, int32_t *places) {
    int64_t y = place / c->out.width * c->down - c->above, x = place % c->out.width * c->right - c->left, n = 0;
    for (int64_t i = 0; i < c->high; i++)
        for (int64_t j = 0; j < c->wide; j++) {
            int64_t row = y + i, column = x + j;
            if (row < 0 || row >= c->in.height || column < 0 || column >= c->in.width) continue;
            taps[n] = (int32_t)(i * c->wide + j);
            places[n++] = (int32_t)(row * c->in.width + column);
        }
    return n;
}

/* The same the other way: by which taps, and at which places, an input's place is seen. */
static inline int64_t seeing(const Convolution *c, int64_t place, int32_t *taps, int32_t *places) {
    int64_t y = place / c->in.width + c->above, x = place % c->in.width + c->left, n = 0;
    for (int64_t i = 0; i < c->high; i++)
        for (int64_t j = 0; j < c->wide; j++) {
            int64_t row = y - i, column = x - j;
            if (row < 0 || row % c->down || column < 0 || column % c->right) continue;
            row /= c->down, column /= c->right;
            if (row >= c->out.height || column >= c->out.width) continue;
            taps[n] = (int32_t)(i * c->wide + j);
            places[n++] = (int32_t)(row * c->out.width + column);
        }
    return n;
}

#endif
