/* Where a row's numbers are in tiled rows, as linear.h says. */

#ifndef SIGHTWORD_TILED_H
#define SIGHTWORD_TILED_H

#include <string.h>

#include "tiles.h"

/* A row's first 32 numbers, and how far it is to each next 32. */
typedef struct {
    int64_t first, step;
} Line;

static inline Line line_of(int64_t rows, int64_t width, int64_t tiled, int64_t row) {
    if (!tiled) return (Line){row * width, WIDE};
    int64_t whole = rows / WIDE * WIDE, late = row - (rows - WIDE);
    return (Line){row < whole ? row / WIDE * WIDE * width + row % WIDE * WIDE : whole * width + late * WIDE, WIDE * WIDE};
}

static inline int64_t at(Line line, int64_t column) {
    return line.first + column / WIDE * line.step + column % WIDE;
}

/* A row that was written, again, if it is in the last blocks as well. */
static inline void repeat(uint16_t *to, int64_t rows, int64_t width, int64_t row) {
    int64_t whole = rows / WIDE * WIDE;
    if (rows == whole || row < rows - WIDE || row >= whole) return;
    const uint16_t *from = to + row / WIDE * WIDE * width + row % WIDE * WIDE;
    to += whole * width + (row - (rows - WIDE)) * WIDE;
    for (int64_t c = 0; c < width; c += WIDE, from += WIDE * WIDE, to += WIDE * WIDE) memcpy(to, from, WIDE * sizeof *to);
}

#endif
