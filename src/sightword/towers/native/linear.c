/* Linear layers by matrix tiles: y = x W^T + b, and the gradient that it sends to x.

   A chunk of rows stays in the second cache while weights pass by, 32 outputs at a time and not more inputs at once
   than the nearest cache holds. Long rows that meet many outputs are packed first: a tile is then one piece of memory,
   and is read past the nearest cache, which so has room for more weights. Sums are float32 and rounded once. */

#include <stdlib.h>

#include "linear.h"

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && __GNUC__ >= 11

#include "activation.h"
#include "tiles.h"

enum { FLOATS = SIDE * SIDE, BLOCK = 4 * FLOATS, MOST = 16 }; /* MOST: blocks of 32 rows in a chunk */
enum { NEAR = 8, PASSING = 12 };   /* tiles of weights, deep, that stay near; where rows pass the nearest cache by */
enum { LONG = 384, MANY = 512 };   /* numbers of a row, and outputs, from which on rows are packed */
enum { LARGE = 393216, SMALL = 131072 };                      /* numbers of a chunk */
enum { CACHED = 1 << 20 };                                    /* numbers that the second cache holds */

/* The last block of rows may overlap the one before. */
static inline int64_t begin_of(const Product *p, int64_t block) {
    int64_t row = block * WIDE;
    return row + WIDE <= p->rows ? row : p->rows - WIDE;
}

/* 32 rows, from some number on: how far they are apart, and the next 32 numbers of each. */
typedef struct {
    const uint16_t *from;
    int64_t apart, deep;
} Rows;

static inline Rows rows_of(const Product *p, int64_t block, int64_t deep) {
    if (p->tiled_from) return (Rows){p->from + (block * p->in + deep * DEEP) * WIDE, WIDE, WIDE * DEEP};
    return (Rows){p->from + begin_of(p, block) * p->in + deep * DEEP, p->in, DEEP};
}

/* 32 rows by 32 outputs: more of their sums. What will be needed next is called from afar meanwhile. */
TARGET static inline void add_deep(Rows rows, const uint16_t *right, int64_t depth, const uint16_t *next, int64_t lines) {
    for (int64_t k = 0; k < depth; k++, rows.from += rows.deep, right += 2 * TILE) {
        for (int64_t i = 0; i < lines; i++, next += DEEP) _mm_prefetch((const char *)next, _MM_HINT_T1);
        add_product(rows.from, 2 * rows.apart, SIDE * rows.apart, right);
    }
}

/* The same of packed rows; there is room near by for what is called. */
TARGET static inline void add_packed(const uint16_t *left, const uint16_t *right, int64_t depth, const uint16_t *next,
                                     int64_t lines) {
    for (int64_t k = 0; k < depth; k++, left += 2 * TILE, right += 2 * TILE) {
        for (int64_t i = 0; i < lines; i++, next += DEEP) _mm_prefetch((const char *)next, _MM_HINT_T0);
        add_passing(left, right);
    }
}

/* 32 rows as tiles that lie together. */
TARGET static void gather(Rows rows, int64_t depth, uint16_t *to) {
    for (int64_t k = 0; k < depth; k++, rows.from += rows.deep)
        for (int64_t r = 0; r < WIDE; r++, to += DEEP)
            _mm512_store_si512(to, _mm512_loadu_si512(rows.from + r * rows.apart));
}

/* Where numbers lie: the first of a block, and how far its rows are apart. */
typedef struct {
    int64_t first, apart;
} Place;

static inline Place place_of(const Product *p, int64_t block, int64_t column) {
    if (p->tiled_to) return (Place){(block * p->out + column) * WIDE, WIDE};
    return (Place){begin_of(p, block) * p->out + column, p->out};
}

/* 32 x 32 numbers that will be read. */
TARGET static inline void expect(const uint16_t *from, int64_t apart) {
    for (int64_t r = 0; r < WIDE; r++) _mm_prefetch((const char *)(from + r * apart), _MM_HINT_T1);
}

/* A row of 32 sums to where it belongs. The slope is kept: backward has only to multiply. */
TARGET static inline void put_row(const Product *p, __m512 low, __m512 high, int64_t at) {
    int past = 2 * p->rows * p->out > REMEMBERED;
    if (p->activation) {
        Activated one = activated((int)p->activation, low), two = activated((int)p->activation, high);
        store_numbers(p->to + at, narrow(one.value, two.value), past);
        store_numbers(p->slope + at, narrow(one.slope, two.slope), past);
        return;
    }
    if (p->slope) {
        low = _mm512_mul_ps(low, widened(p->slope + at));
        high = _mm512_mul_ps(high, widened(p->slope + at + SIDE));
    }
    store_numbers(p->to + at, narrow(low, high), past);
}

/* 32 rows from the tiles, by halves: less memory in the nearest cache. */
TARGET static inline void put(const Product *p, Place place, int64_t column) {
    float sums[2 * FLOATS] __attribute__((aligned(64)));
    __m512 none = _mm512_setzero_ps(), low = p->bias ? _mm512_loadu_ps(p->bias + column) : none;
    __m512 high = p->bias ? _mm512_loadu_ps(p->bias + column + SIDE) : none;
    int64_t at = place.first;
    for (int half = 0; half < 2; half++) {
        store_half(half, sums);
        WRITTEN;
        for (int64_t r = 0; r < SIDE; r++, at += place.apart) {
            __m512 one = _mm512_add_ps(_mm512_load_ps(sums + r * SIDE), low);
            __m512 two = _mm512_add_ps(_mm512_load_ps(sums + FLOATS + r * SIDE), high);
            put_row(p, one, two, at);
        }
        WRITTEN;
    }
}

/* Blocks `first` to `last` of rows, a chunk, by 32 outputs; `packed`: these rows as tiles, or NULL. */
TARGET static void panel(const Product *p, const uint16_t *packed, int64_t first, int64_t last, int64_t column,
                         float *sums) {
    int64_t depth = p->in / DEEP, near = packed ? PASSING : NEAR, passes = (depth + near - 1) / near;
    int64_t lines = (WIDE + last - first - 1) / (last - first);
    for (int64_t pass = 0; pass < passes; pass++) {
        int64_t from = depth * pass / passes, to = depth * (pass + 1) / passes;
        const uint16_t *right = p->weights + (column * depth + from * WIDE) * DEEP;
        const uint16_t *next = right + (to - from) * 2 * TILE;
        for (int64_t block = first; block < last; block++, next += lines * (to - from) * DEEP) {
            int64_t ends = to == depth, at = block - first;
            float *own = sums + at * BLOCK;
            Place place = place_of(p, block, column);
            if (ends && p->slope && !p->activation) expect(p->slope + place.first, place.apart);
            if (pass) pass_sums(own);
            else clear_sums();
            if (packed) add_packed(packed + (at * depth + from) * 2 * TILE, right, to - from, next, lines);
            else add_deep(rows_of(p, block, from), right, to - from, next, lines);
            if (ends) put(p, place, column);
            else store_sums(own);
            WRITTEN;
        }
    }
}

/* Blocks `first` to `last`, each of 32 rows; there are at least 32 rows. -1 when there is no memory. */
TARGET int linear_apply(const Product *p, int64_t first, int64_t last) {
    float sums[MOST * BLOCK] __attribute__((aligned(64)));
    int64_t chunk = (p->in * p->out > CACHED ? LARGE : SMALL) / p->in / WIDE;
    int64_t packs = p->in >= LONG && p->out >= MANY;
    chunk = chunk < 2 ? 2 : chunk > MOST ? MOST : chunk;
    uint16_t *packed = packs ? aligned_alloc(64, (size_t)(chunk * WIDE * p->in) * sizeof *packed) : NULL;
    if (packs && !packed) return -1;
    use_tiles();
    for (int64_t block = first; block < last; block += chunk) {
        int64_t end = block + chunk < last ? block + chunk : last;
        for (int64_t b = block; packs && b < end; b++)
            gather(rows_of(p, b, 0), p->in / DEEP, packed + (b - block) * WIDE * p->in);
        WRITTEN;
        for (int64_t column = 0; column < p->out; column += WIDE) panel(p, packed, block, end, column, sums);
    }
    release_tiles();
    free(packed);
    return 0;
}

#endif
