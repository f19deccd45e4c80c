/* Where a row's numbers are in tiled rows, as linear.h says. */

#ifndef SIGHTWORD_TILED_H
#define SIGHTWORD_TILED_H

#include <string.h>

#include "tiles.h"

/* A row's first 32 numbers, and how far it is to each next 32. */
typedef struct {
    int64_t first, step;
} Line;

/* In the last blocks, if there are fewer rows left than 32: they hold the last 32. */
static inline Line last_line(int64_t rows, int64_t width, int64_t row) {
    return (Line){rows / WIDE * WIDE * width + (row - (rows - WIDE)) * WIDE, WIDE * WIDE};
}

static inline Line line_of(int64_t rows, int64_t width, int64_t tiled, int64_t row) {
    if (!tiled) return (Line){row * width, WIDE};
    if (row >= rows / WIDE * WIDE) return last_line(rows, width, row);
    return (Line){row / WIDE * WIDE * width + row % WIDE * WIDE, WIDE * WIDE};
}

/* Whether a row is in the last blocks as well as in those before. */
static inline int twice(int64_t rows, int64_t row) {
    int64_t whole = rows / WIDE * WIDE;
    return rows != whole && row >= rows - WIDE && row < whole;
}

static inline int64_t at(Line line, int64_t column) {
    return line.first + column / WIDE * line.step + column % WIDE;
}

/* A row that was written, again, if it is in the last blocks as well. */
static inline void repeat(uint16_t *to, int64_t rows, int64_t width, int64_t row) {
    if (!twice(rows, row)) return;
    Line from = line_of(rows, width, 1, row), last = last_line(rows, width, row);
    for (int64_t c = 0; c < width; c += WIDE) memcpy(to + at(last, c), to + at(from, c), WIDE * sizeof *to);
}

#endif
