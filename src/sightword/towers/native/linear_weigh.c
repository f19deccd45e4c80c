/* The gradient of a linear layer's weights, by matrix tiles: what was sent to its rows, turned, times the rows.

   The side of fewer numbers is turned and packed once, a chunk of rows behind the other. Of the other side 32 columns
   of a chunk are packed into the nearest cache, and meet all of the first. The sums of some such columns stay in the
   second cache until all rows are through; they are float32. */

#include <stdlib.h>
#include <string.h>

#include "linear.h"

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && __GNUC__ >= 11

#include "tiles.h"

enum { CHUNK = 256, SLABS = CHUNK / DEEP, BLOCK = 4 * SIDE * SIDE }; /* rows; blocks of 32 rows */
enum { KEPT = 294912 };                                              /* sums that stay in the second cache */
enum { PANEL = CHUNK * WIDE };                                       /* numbers of a chunk's 32 columns */

/* Two sums for 16 columns each, of the even ones and the odd ones of a row's 32. */
TARGET static inline void count(__m512i row, __m512 *even, __m512 *odd) {
    *even = _mm512_add_ps(*even, (__m512)_mm512_slli_epi32(row, 16));
    *odd = _mm512_add_ps(*odd, (__m512)_mm512_and_si512(row, _mm512_set1_epi32((int)0xffff0000)));
}

TARGET static void tell(__m512 even, __m512 odd, float *to) {
    __m512i front = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    __m512i back = _mm512_add_epi32(front, _mm512_set1_epi32(8));
    _mm512_storeu_ps(to, _mm512_permutex2var_ps(even, front, odd));
    _mm512_storeu_ps(to + SIDE, _mm512_permutex2var_ps(even, back, odd));
}

/* 32 columns of a side, from some row on. If they are tiled, the rows of a last, short block are at its end. */
typedef struct {
    const uint16_t *from;
    int64_t apart, deep, tiled; /* from one row to the next, and to the one after 32 */
} Columns;

static inline Columns columns_of(const uint16_t *side, int64_t width, int64_t tiled, int64_t row, int64_t column) {
    return (Columns){side + row * width + column * (tiled ? WIDE : 1), tiled ? WIDE : width, DEEP * width, tiled};
}

/* As right tiles, or turned as left ones, `rows` of them; zeros where there is no row any more. */
TARGET static void pack(Columns c, int64_t rows, int left, uint16_t *to, float *total) {
    __m512i low[SIDE], high[SIDE], none = _mm512_setzero_si512();
    __m512 even = _mm512_setzero_ps(), odd = even;
    for (; rows > 0; rows -= DEEP, c.from += c.deep, to += 2 * TILE) {
        const uint16_t *from = c.from + (c.tiled && rows < DEEP ? (DEEP - rows) * c.apart : 0);
        for (int64_t r = 0; r < SIDE; r++, from += 2 * c.apart) {
            __m512i one = 2 * r < rows ? _mm512_loadu_si512(from) : none;
            __m512i two = 2 * r + 1 < rows ? _mm512_loadu_si512(from + c.apart) : none;
            if (total) count(one, &even, &odd), count(two, &even, &odd);
            pair(one, two, low + r, high + r);
            if (left) continue;
            _mm512_store_si512(to + DEEP * r, low[r]);
            _mm512_store_si512(to + TILE + DEEP * r, high[r]);
        }
        if (left) turn(low, to), turn(high, to + TILE);
    }
    if (total) tell(even, odd, total);
}

/* Chunks `first` to `last` of the left side's rows. */
TARGET int linear_pack_left(const Weighing *w, int64_t first, int64_t last) {
    for (int64_t chunk = first; chunk < last; chunk++) {
        int64_t row = chunk * CHUNK, rows = w->rows - row < CHUNK ? w->rows - row : CHUNK;
        for (int64_t c = 0; c < w->left; c += WIDE)
            pack(columns_of(w->from_left, w->left, w->tiled_left, row, c), rows, 1, w->packed + row * w->left + c * CHUNK,
                 w->total_left ? w->total_left + chunk * w->left + c : NULL);
    }
    return 0;
}

/* What will be read next, and is called from afar meanwhile: columns of whole chunks, or NULL, that will be packed on the
   right; and some of the left side's next chunk, `lines` of memory in each block. */
typedef struct {
    const Columns *right;
    const uint16_t *left;
    int64_t lines;
} Next;

TARGET __attribute__((always_inline)) static inline void call(const Next *next, int64_t block, int64_t blocks) {
    int64_t rows = (CHUNK + blocks - 1) / blocks;
    const Columns *c = next->right;
    for (int64_t r = block * rows; c && r < (block + 1) * rows && r < CHUNK; r++)
        _mm_prefetch((const char *)(c->from + r / DEEP * c->deep + r % DEEP * c->apart), _MM_HINT_T1);
    for (int64_t i = 0; i < next->lines; i++)
        _mm_prefetch((const char *)(next->left + (block * next->lines + i) * DEEP), _MM_HINT_T1);
}

/* All of the left side's columns of a chunk by 32 of the right side's: more of their sums. Each block's are called into
   the nearest cache while the block before is added to. */
TARGET static void add_chunk(const Weighing *w, const uint16_t *left, const uint16_t *right, int64_t slabs, Next next,
                             float *sums) {
    int64_t blocks = w->left / WIDE;
    for (int64_t block = 0; block < blocks; block++, left += PANEL, sums += BLOCK) {
        const float *later = sums + BLOCK;
        call(&next, block, blocks);
        load_sums(sums);
        for (int64_t s = 0; s < slabs; s++) {
            for (int64_t i = 0; i < BLOCK / SIDE / SLABS; i++, later += SIDE) _mm_prefetch((const char *)later, _MM_HINT_T0);
            add_product(left + s * 2 * TILE, ROW, TILE, right + s * 2 * TILE);
        }
        store_sums(sums);
    }
}

/* 16 by 16 sums to where they belong. */
TARGET static void unpack_tile(const Weighing *w, const float *sums, int64_t left, int64_t right) {
    __m512i rows[SIDE];
    float turned[SIDE * SIDE] __attribute__((aligned(64)));
    if (w->turned) {
        for (int64_t r = 0; r < SIDE; r++) rows[r] = _mm512_load_si512(sums + r * SIDE);
        turn(rows, (uint16_t *)turned);
        sums = turned;
    }
    float *to = w->to + (w->turned ? right * w->left + left : left * w->right + right);
    for (int64_t r = 0; r < SIDE; r++)
        _mm512_storeu_ps(to + r * (w->turned ? w->left : w->right), _mm512_load_ps(sums + r * SIDE));
}

/* A chunk of rows from `row` on, all of its left side by `panels` times 32 columns of the right one. */
TARGET static void weigh_chunk(const Weighing *w, int64_t row, int64_t column, int64_t panels, float *sums, uint16_t *right) {
    int64_t rows = w->rows - row < CHUNK ? w->rows - row : CHUNK, slabs = (rows + DEEP - 1) / DEEP;
    int64_t left = w->left * CHUNK, share = (CHUNK + panels - 1) / panels;
    for (int64_t n = 0; n < panels; n++) {
        Columns own = columns_of(w->from_right, w->right, w->tiled_right, row, column + n * WIDE);
        Columns later = columns_of(w->from_right, w->right, w->tiled_right, row, column + (n + 1) * WIDE);
        Next next = {n + 1 < panels && rows == CHUNK ? &later : NULL, w->packed + row * w->left + left + n * left / panels,
                     row + CHUNK < w->rows ? share : 0};
        float *total = w->total_right ? w->total_right + row / CHUNK * w->right + column + n * WIDE : NULL;
        pack(own, rows, 0, right, total);
        WRITTEN;
        add_chunk(w, w->packed + row * w->left, right, slabs, next, sums + n * w->left * WIDE);
    }
}

/* `panels` times 32 columns of the right side, with all of the left side. */
TARGET static void weigh(const Weighing *w, int64_t column, int64_t panels, float *sums, uint16_t *right) {
    int64_t blocks = w->left / WIDE;
    memset(sums, 0, (size_t)(panels * blocks * BLOCK) * sizeof *sums);
    for (int64_t row = 0; row < w->rows; row += CHUNK) weigh_chunk(w, row, column, panels, sums, right);
    WRITTEN;
    for (int64_t n = 0; n < panels; n++)
        for (int64_t block = 0; block < blocks; block++)
            for (int64_t i = 0; i < 4; i++)
                unpack_tile(w, sums + ((n * blocks + block) * 4 + i) * SIDE * SIDE, block * WIDE + i / 2 * SIDE,
                            column + n * WIDE + i % 2 * SIDE);
}

/* Panels `first` to `last`, each of 32 columns of the right side; -1 when there is no memory. */
TARGET int linear_weigh(const Weighing *w, int64_t first, int64_t last) {
    int64_t most = KEPT / WIDE / w->left;
    most = most < 1 ? 1 : most;
    float *sums = aligned_alloc(64, (size_t)(most * w->left * WIDE) * sizeof *sums);
    uint16_t right[PANEL] __attribute__((aligned(64)));
    if (!sums) return -1;
    use_tiles();
    for (int64_t panel = first; panel < last; panel += most)
        weigh(w, panel * WIDE, last - panel < most ? last - panel : most, sums, right);
    release_tiles();
    free(sums);
    return 0;
}

#endif
