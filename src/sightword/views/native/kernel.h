/* What the kernel's files share: a view of a batch, a decoded picture, and memory that is used again. */

#ifndef SIGHTWORD_KERNEL_H
#define SIGHTWORD_KERNEL_H

#include <stddef.h>
#include <stdint.h>

enum {
    VERSION = 2, /* of the functions and structures that library.py and kernel.py know: they ask for it */
    LANES = 32,     /* values that loops may overrun their end by: every buffer has room for them */
    LEVEL_BITS = 6, /* planes and sums are in 64ths of a level, which leaves 16 bits room for colours */
};

/* One view of all rows of a batch. Arrays have one entry (or row) a row of the batch. */
typedef struct {
    int64_t size;             /* pixels, square */
    const int64_t *boxes;     /* b x 4: top, left, height, width in the picture */
    const uint8_t *flipped;   /* b: mirrored from left to right */
    const uint8_t *steps;     /* b x 4: the jitter's steps in their order; 255: none */
    const float *amounts;     /* b x 4: of brightness, contrast, saturation, hue */
    const uint8_t *gray;      /* b */
    const float *blur;        /* b x taps: the blur's symmetric kernel from its middle outwards */
    const int64_t *spans;     /* b: pixels that the blur reaches to a side; 0: none */
    int64_t taps;
    const uint8_t *solarized; /* b */
    uint8_t *out;             /* b x 3 x size x size */
    const uint8_t *eighths;   /* b: 8, 4, 2 or 1: the share of its size that a JPEG is decoded at */
} View;

/* Samples of one colour, columns first: sample (y, x) is at [x * pitch + y]. */
typedef struct {
    int16_t *samples; /* in 64ths of a level */
    int64_t pitch;
    int64_t rows, columns;
    int tall, wide; /* rows and columns of the picture that one sample stands for: 1 or 2 */
    int smooth;     /* whether samples are spread by the triangle filter where tall or wide is 2 */
} Plane;

/* A decoded JPEG. */
typedef struct {
    Plane planes[3];
    int colours;           /* 1 (gray) or 3 (Y, Cb, Cr) */
    int64_t rows, columns; /* of the picture as it was decoded */
    double scale;          /* how much smaller than its file says: 1, 1/2, 1/4 or 1/8 */
} Picture;

/* One output of a resampled axis: a weighted sum of `count` inputs from `first` on. */
typedef struct {
    int64_t first, count;
    const int16_t *weights;
} Taps;

/* How an axis is resampled. */
typedef struct {
    Taps *taps;          /* one for each of the outputs */
    int16_t *weights;
    int64_t first, last; /* inputs that any of them needs */
    int bits;            /* weights of bytes are in 2^-bits */
} Axis;

/* Memory by purpose, kept from picture to picture. */
enum {
    PLANE_Y, PLANE_CB, PLANE_CR, STRIP, TAPS, WEIGHTS = TAPS + 4, SUMS = WEIGHTS + 4, ACROSS, DOWN_Y, DOWN_CB,
    DOWN_CR, LINES, TURNED, LEVELS, ENTROPY, TABLES, PURPOSES
};

typedef struct {
    void *block[PURPOSES];
    size_t bytes[PURPOSES];
} Scratch;

/* At least `bytes` for this purpose, aligned for any vector; NULL when there is no memory. Keeps no contents. */
void *scratch(Scratch *memory, int purpose, size_t bytes);

/* n rounded up to what loops may touch. */
static inline int64_t padded(int64_t n) {
    return (n + LANES - 1) / LANES * LANES;
}

/* axis.c: weights for an axis of planes (at full, at half resolution) or of bytes; -1 when there is no memory. */
int plane_axes(Axis axes[2], Scratch *memory, int slot, double start, double length, int64_t size, int64_t inside,
               int64_t halves, int smooth, int flipped);
int byte_axis(Axis *axis, Scratch *memory, int slot, int64_t length, int64_t size, int flipped);
extern const int16_t COLOUR_SHARES[4];

/* jpeg.c */
typedef struct JpegLibrary JpegLibrary;
int read_size(const JpegLibrary *library, const uint8_t *file, size_t bytes, int64_t most, int64_t size[2]);
int read_picture(const JpegLibrary *library, const uint8_t *file, size_t bytes, int64_t most, int eighths,
                 Scratch *memory, Picture *picture);

#endif
