/* What attention's forward and backward share: where a head's rows lie, how they are packed, and products of them.

   A head's keys and values are packed from where they lie, with zeros up to a multiple of 32 rows. Its queries are copied
   into the nearest cache, 32 at a time, and meet 32 keys at a time. Sums are float32. */

#ifndef SIGHTWORD_ATTENTION_H
#define SIGHTWORD_ATTENTION_H

#include "activation.h"
#include "tiled.h"

/* Rows of all pictures, tiled or one after the other: in each its queries, keys and values, of one head after another. */
typedef struct {
    int64_t pictures, rows, heads, width, causal; /* rows of a picture; numbers of a head, a multiple of 32 */
    int64_t tiled; /* whether all of these rows are, of the answer and of gradients too */
    float scale;
    const uint16_t *from, *made, *sent; /* queries, keys and values; backward the answer and its gradient */
    float *sums;                        /* one for each head and row: the logarithm of the softmax's sum */
    uint16_t *to;
} Heads;

enum { FLOATS = SIDE * SIDE, BLOCK = 4 * FLOATS, SQUARE = WIDE * WIDE }; /* sums, and numbers, of 32 by 32 */

/* Where a picture's rows begin, in numbers: of queries, keys and values, and of answers. */
typedef struct {
    int64_t *all, *own;
} Lines;

static inline void find_lines(const Heads *h, int64_t picture, Lines lines) {
    int64_t rows = h->pictures * h->rows, width = h->heads * h->width;
    for (int64_t r = 0; r < h->rows; r++) {
        lines.all[r] = line_of(rows, 3 * width, h->tiled, picture * h->rows + r).first;
        lines.own[r] = line_of(rows, width, h->tiled, picture * h->rows + r).first;
    }
}

/* One head's rows in a matrix of all rows. */
typedef struct {
    uint16_t *numbers;    /* of the head, if its row began where the matrix does */
    const int64_t *lines; /* where its rows do */
    int64_t step;         /* from 32 numbers of a row to its next 32 */
    int64_t rows, width;  /* of the matrix */
    int64_t row;          /* the head's first */
} Part;

/* The `part`th of `parts` matrices side by side, of which each row holds all heads' numbers. */
static inline Part part_of(const Heads *h, const Lines *lines, int64_t head, const uint16_t *numbers, int64_t parts,
                           int64_t part) {
    int64_t wide = h->heads * h->width, column = part * wide + head % h->heads * h->width;
    int64_t step = h->tiled ? SQUARE : WIDE;
    uint16_t *begin = (uint16_t *)numbers + column / WIDE * step;
    return (Part){begin, parts > 1 ? lines->all : lines->own, step, h->pictures * h->rows, parts * wide,
                  head / h->heads * h->rows};
}

static inline int64_t padded(int64_t rows) {
    return (rows + WIDE - 1) / WIDE * WIDE;
}

/* How many 32s of keys 32 queries see, the first of which is `first`. */
static inline int64_t seen_by(const Heads *h, int64_t first) {
    return (h->causal ? first + WIDE : padded(h->rows)) / WIDE;
}

static inline int64_t keys_of(const Heads *h, int64_t query) {
    if (query >= h->rows) return 0;
    return h->causal ? query + 1 : h->rows;
}

/* 32 numbers of a head's row; zeros where there is no row any more. */
TARGET static inline __m512i load(const Heads *h, const Part *from, int64_t row, int64_t column) {
    if (row >= h->rows) return _mm512_setzero_si512();
    return _mm512_loadu_si512(from->numbers + from->lines[row] + column / WIDE * from->step);
}

/* 32 rows, one after the other. */
TARGET static inline void copy(const Heads *h, Part from, int64_t first, uint16_t *to) {
    for (int64_t r = 0; r < WIDE; r++)
        for (int64_t n = 0; n < h->width; n += WIDE, to += WIDE) _mm512_store_si512(to, load(h, &from, first + r, n));
}

/* A row that will be read is called from afar. */
TARGET static inline void expect(const Heads *h, Part from, int64_t row) {
    if (row >= h->rows) return;
    const uint16_t *numbers = from.numbers + from.lines[row];
    for (int64_t n = 0; n < h->width; n += WIDE, numbers += from.step) _mm_prefetch((const char *)numbers, _MM_HINT_T1);
}

/* Rows as right tiles whose columns they are: for each 32 rows and 32 numbers. */
TARGET static inline void pack_deep(const Heads *h, Part from, uint16_t *to) {
    __m512i rows[SIDE];
    for (int64_t r = 0; r < h->rows; r += WIDE)
        for (int64_t n = 0; n < h->width; n += DEEP)
            for (int64_t half = 0; half < WIDE; half += SIDE, to += TILE) {
                for (int64_t i = 0; i < SIDE; i++) rows[i] = load(h, &from, r + half + i, n);
                turn(rows, to);
            }
}

/* Rows as right tiles that are summed over rows: for each 32 numbers and 32 rows. */
TARGET static inline void pack_long(const Heads *h, Part from, uint16_t *to) {
    for (int64_t n = 0; n < h->width; n += WIDE)
        for (int64_t r = 0; r < h->rows; r += DEEP, to += 2 * TILE)
            for (int64_t i = 0; i < SIDE; i++) {
                __m512i low, high;
                pair(load(h, &from, r + 2 * i, n), load(h, &from, r + 2 * i + 1, n), &low, &high);
                _mm512_store_si512(to + DEEP * i, low);
                _mm512_store_si512(to + TILE + DEEP * i, high);
            }
}

/* 32 rows times 32 rows packed deep: 32 x 32 sums, as tiles lie. */
TARGET static inline void score(const Heads *h, const uint16_t *rows, const uint16_t *deep, float *sums) {
    WRITTEN;
    clear_sums();
    for (int64_t k = 0; k < h->width; k += DEEP, deep += 2 * TILE)
        add_product(rows + k, 2 * h->width, SIDE * h->width, deep);
    store_sums(sums);
    WRITTEN;
}

/* Where the sums of a row and 16 columns are, if `half` for the other 16. */
static inline float *sixteen(float *sums, int64_t row, int64_t half) {
    return sums + (row / SIDE * 2 + half) * FLOATS + row % SIDE * SIDE;
}

/* exp(score * scale - top) of 16 keys, of which `left` are seen. */
TARGET static inline __m512 share_of(const float *scores, int64_t left, __m512 scale, __m512 top) {
    if (left <= 0) return _mm512_setzero_ps();
    __m512 power = _mm512_fmsub_ps(_mm512_load_ps(scores), scale, top);
    __mmask16 seen = left >= SIDE ? 0xffff : (__mmask16)((1u << left) - 1);
    return _mm512_maskz_mov_ps(seen, exponential(_mm512_min_ps(power, _mm512_setzero_ps())));
}

/* The tiles' sums, times `scale`, to the rows that there are of 32, rounded; `column`: of the head's. */
TARGET static inline void put(const Heads *h, int64_t first, int64_t column, float scale, Part to) {
    float sums[BLOCK] __attribute__((aligned(64)));
    __m512 by = _mm512_set1_ps(scale);
    uint16_t *numbers = to.numbers + column / WIDE * to.step;
    int past = 2 * to.rows * to.width > REMEMBERED;
    int late = h->tiled && to.rows % WIDE && to.row + first + 2 * WIDE > to.rows;
    WRITTEN;
    store_sums(sums);
    WRITTEN;
    for (int64_t r = 0; r < WIDE && first + r < h->rows; r++) {
        __m512 low = _mm512_load_ps(sixteen(sums, r, 0)), high = _mm512_load_ps(sixteen(sums, r, 1));
        __m512i all = narrow(_mm512_mul_ps(low, by), _mm512_mul_ps(high, by));
        int64_t row = to.row + first + r;
        store_numbers(numbers + to.lines[first + r], all, past);
        if (late && twice(to.rows, row)) store_numbers(numbers + last_line(to.rows, to.width, row).first, all, past);
    }
}

/* Squares `from` to `end`, as left tiles, times a matrix packed long, to 32 rows from `first` on. */
TARGET static inline void mix(const Heads *h, const uint16_t *squares, const uint16_t *packed, int64_t from, int64_t end,
                              int64_t first, float scale, Part to) {
    for (int64_t n = 0; n < h->width; n += WIDE) {
        const uint16_t *right = packed + n * padded(h->rows);
        WRITTEN;
        clear_sums();
        for (int64_t k = from; k < end; k++) add_product(squares + k * SQUARE, ROW, TILE, right + k * SQUARE);
        put(h, first, n, scale, to);
    }
}

#endif
