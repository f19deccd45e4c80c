/* Attention of each head by matrix tiles, forward and backward.

   A head's queries, keys and values are copied row by row into the cache, with zeros up to a multiple of 32 rows. 32
   queries at a time meet all keys; their scores stay in the cache, and so does what the softmax makes of them. Backward
   makes the shares anew from the scores and the logarithm of each row's sum (Dao 2023, arXiv 2307.08691, algorithm 2,
   without its blocks of keys: a head's rows are few enough to be kept). Sums are float32. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Rows of every head: numbers from picture to picture, row to row, head to head; the three lie `part` apart. */
typedef struct {
    int64_t rows, heads, width, causal; /* width: numbers of a head, a multiple of 32 */
    float scale;
    int64_t picture, row, part;     /* of queries, keys and values, and of their gradients */
    int64_t made_picture, made_row; /* of the answer and its gradient */
    const uint16_t *from, *made, *sent; /* queries, keys and values; backward the answer and its gradient */
    float *sums;                        /* one for each head and row: the logarithm of the softmax's sum */
    uint16_t *to;
} Heads;

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && __GNUC__ >= 11

#include "activation.h"
#include "tiles.h"

typedef struct {
    int64_t rows, blocks, width, wide; /* rows up to a multiple of 32; how many 32s; numbers of a head, in 32s */
    uint16_t *q, *k, *v, *sent;        /* rows x width */
    uint16_t *k_deep, *v_deep;         /* right tiles, summed over a head's numbers */
    uint16_t *k_long, *v_long, *q_long, *sent_long; /* right tiles, summed over rows */
    uint16_t *shares, *slopes;         /* 32 x rows: of 32 queries */
    uint16_t *shares_turned, *slopes_turned; /* left tiles: rows x rows, keys by queries */
    float *scores, *others;            /* 32 x rows */
    void *memory;
} Room;

static int64_t padded(int64_t rows) {
    return (rows + WIDE - 1) / WIDE * WIDE;
}

/* -1 when there is no memory. */
static int get_room(const Heads *h, int back, Room *room) {
    int64_t rows = padded(h->rows), each = rows * h->width, strip = WIDE * rows;
    int64_t numbers = (back ? 10 : 5) * each + 2 * strip + (back ? 2 * rows * rows : 0);
    uint16_t *at = room->memory = aligned_alloc(64, (size_t)(2 * numbers + 8 * strip));
    if (!at) return -1;
    room->rows = rows, room->blocks = rows / WIDE, room->width = h->width, room->wide = h->width / WIDE;
    uint16_t **arrays[] = {&room->q, &room->k, &room->v, &room->k_deep, &room->v_long, &room->sent, &room->v_deep,
                           &room->k_long, &room->q_long, &room->sent_long};
    for (int i = 0; i < (back ? 10 : 5); i++, at += each) *arrays[i] = at;
    room->shares = at, room->slopes = at + strip, at += 2 * strip;
    room->shares_turned = at, room->slopes_turned = at + rows * rows;
    at += back ? 2 * rows * rows : 0;
    room->scores = (float *)at, room->others = room->scores + strip;
    return 0;
}

static void copy(const Heads *h, const uint16_t *from, int64_t apart, uint16_t *to) {
    for (int64_t r = 0; r < h->rows; r++) memcpy(to + r * h->width, from + r * apart, (size_t)h->width * sizeof *to);
    memset(to + h->rows * h->width, 0, (size_t)((padded(h->rows) - h->rows) * h->width) * sizeof *to);
}

/* Rows as right tiles whose columns they are: for each 32 rows and 32 numbers. */
TARGET static void pack_deep(const Room *room, const uint16_t *from, uint16_t *to) {
    __m512i rows[SIDE];
    for (int64_t r = 0; r < room->rows; r += WIDE)
        for (int64_t n = 0; n < room->width; n += DEEP)
            for (int64_t half = 0; half < WIDE; half += SIDE, to += TILE) {
                for (int64_t i = 0; i < SIDE; i++)
                    rows[i] = _mm512_loadu_si512(from + (r + half + i) * room->width + n);
                turn(rows, to);
            }
}

/* Rows as right tiles that are summed over rows: for each 32 numbers and 32 rows. */
TARGET static void pack_long(const Room *room, const uint16_t *from, uint16_t *to) {
    for (int64_t n = 0; n < room->width; n += WIDE)
        for (int64_t r = 0; r < room->rows; r += DEEP, to += 2 * TILE)
            for (int64_t i = 0; i < SIDE; i++) {
                const uint16_t *at = from + (r + 2 * i) * room->width + n;
                __m512i low, high;
                pair(_mm512_loadu_si512(at), _mm512_loadu_si512(at + room->width), &low, &high);
                _mm512_store_si512(to + DEEP * i, low);
                _mm512_store_si512(to + TILE + DEEP * i, high);
            }
}

/* 32 rows by 32 numbers as left tiles of the turned matrix. */
TARGET static void pack_turned(const uint16_t *from, int64_t apart, uint16_t *to) {
    __m512i low[SIDE], high[SIDE];
    for (int64_t i = 0; i < SIDE; i++)
        pair(_mm512_loadu_si512(from + 2 * i * apart), _mm512_loadu_si512(from + (2 * i + 1) * apart), low + i, high + i);
    turn(low, to);
    turn(high, to + TILE);
}

/* The tiles' 32 by 32 sums to rows of float32, `apart` numbers from each other. */
TARGET static inline void spill(float *to, int64_t apart) {
    _tile_stored(0, to, 4 * apart);
    _tile_stored(1, to + SIDE, 4 * apart);
    _tile_stored(2, to + SIDE * apart, 4 * apart);
    _tile_stored(3, to + SIDE * apart + SIDE, 4 * apart);
}

/* 32 rows times the rows of a matrix packed deep: 32 x rows. */
TARGET static void score(const Room *room, const uint16_t *rows, const uint16_t *deep, float *to) {
    WRITTEN;
    for (int64_t block = 0; block < room->blocks; block++) {
        clear_sums();
        for (int64_t k = 0; k < room->wide; k++, deep += 2 * TILE)
            add_product(rows + k * DEEP, 2 * room->width, SIDE * room->width, deep);
        spill(to + block * WIDE, room->rows);
    }
    WRITTEN;
}

/* 32 sums by 32, times `scale`, to the rows of a head that there are, rounded. */
TARGET static void put(const Heads *h, int64_t first, float scale, uint16_t *to, int64_t apart) {
    float sums[WIDE * WIDE] __attribute__((aligned(64)));
    __m512 by = _mm512_set1_ps(scale);
    WRITTEN;
    spill(sums, WIDE);
    WRITTEN;
    for (int64_t r = 0; r < WIDE && first + r < h->rows; r++) {
        __m512 low = _mm512_mul_ps(_mm512_load_ps(sums + r * WIDE), by);
        __m512 high = _mm512_mul_ps(_mm512_load_ps(sums + r * WIDE + SIDE), by);
        _mm512_storeu_si512(to + (first + r) * apart, (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
}

/* 32 rows, left tiles or rows `bytes` apart, times a matrix packed long, to rows from `first` on. */
TARGET static void mix(const Heads *h, const Room *room, const uint16_t *left, int64_t bytes, int64_t down, int64_t step,
                       const uint16_t *packed, int64_t first, float scale, uint16_t *to, int64_t apart) {
    for (int64_t n = 0; n < room->wide; n++) {
        WRITTEN;
        clear_sums();
        for (int64_t k = 0; k < room->blocks; k++, packed += 2 * TILE) add_product(left + k * step, bytes, down, packed);
        put(h, first, scale, to + n * WIDE, apart);
    }
}

static int64_t keys_of(const Heads *h, int64_t query) {
    if (query >= h->rows) return 0;
    return h->causal ? query + 1 : h->rows;
}

/* exp(score * scale - top) of 32 keys from `key` on, of which `count` are seen. */
TARGET static inline void shares_of(const float *scores, int64_t left, __m512 scale, __m512 top, __m512 found[2]) {
    for (int half = 0; half < 2; half++) {
        int64_t some = left - half * SIDE;
        __mmask16 seen = some >= SIDE ? 0xffff : some <= 0 ? 0 : (__mmask16)((1u << some) - 1);
        __m512 power = _mm512_fmsub_ps(_mm512_load_ps(scores + half * SIDE), scale, top);
        found[half] = _mm512_maskz_mov_ps(seen, exponential(_mm512_min_ps(power, _mm512_setzero_ps())));
    }
}

TARGET static float highest(const float *scores, int64_t count) {
    __m512 top = _mm512_set1_ps(-INFINITY);
    for (int64_t j = 0; j < count; j += SIDE) {
        __mmask16 seen = count - j >= SIDE ? 0xffff : (__mmask16)((1u << (count - j)) - 1);
        top = _mm512_mask_max_ps(top, seen, top, _mm512_load_ps(scores + j));
    }
    return _mm512_reduce_max_ps(top);
}

/* Softmax of 32 queries' scores, rounded; the logarithm of each sum is kept. */
TARGET static void share_out(const Heads *h, const Room *room, int64_t first, float *sums) {
    for (int64_t r = 0; r < WIDE; r++) {
        int64_t count = keys_of(h, first + r);
        float *scores = room->scores + r * room->rows, top = count ? highest(scores, count) * h->scale : 0;
        __m512 total = _mm512_setzero_ps(), found[2];
        for (int64_t j = 0; j < room->rows; j += WIDE) {
            shares_of(scores + j, count - j, _mm512_set1_ps(h->scale), _mm512_set1_ps(top), found);
            total = _mm512_add_ps(total, _mm512_add_ps(found[0], found[1]));
            _mm512_store_ps(scores + j, found[0]);
            _mm512_store_ps(scores + j + SIDE, found[1]);
        }
        float sum = count ? _mm512_reduce_add_ps(total) : 1;
        __m512 by = _mm512_set1_ps(1 / sum);
        for (int64_t j = 0; j < room->rows; j += WIDE) {
            __m512 low = _mm512_mul_ps(_mm512_load_ps(scores + j), by);
            __m512 high = _mm512_mul_ps(_mm512_load_ps(scores + j + SIDE), by);
            _mm512_store_si512(room->shares + r * room->rows + j, (__m512i)_mm512_cvtne2ps_pbh(high, low));
        }
        if (first + r < h->rows) sums[first + r] = top + logf(sum);
    }
}

/* One head of one picture. */
TARGET static void forward(const Heads *h, const Room *room, const uint16_t *from, uint16_t *to, float *sums) {
    copy(h, from, h->row, room->q);
    copy(h, from + h->part, h->row, room->k);
    copy(h, from + 2 * h->part, h->row, room->v);
    pack_deep(room, room->k, room->k_deep);
    pack_long(room, room->v, room->v_long);
    for (int64_t first = 0; first < room->rows; first += WIDE) {
        score(room, room->q + first * room->width, room->k_deep, room->scores);
        share_out(h, room, first, sums);
        mix(h, room, room->shares, 2 * room->rows, SIDE * room->rows, DEEP, room->v_long, first, 1, to, h->made_row);
    }
}

/* The sum of a row's gradient times its answer. */
TARGET static float product(const uint16_t *one, const uint16_t *other, int64_t width) {
    __m512 sum = _mm512_setzero_ps();
    __m512i upper = _mm512_set1_epi32((int)0xffff0000u);
    for (int64_t i = 0; i < width; i += WIDE) {
        __m512i a = _mm512_loadu_si512(one + i), b = _mm512_loadu_si512(other + i);
        sum = _mm512_fmadd_ps((__m512)_mm512_slli_epi32(a, 16), (__m512)_mm512_slli_epi32(b, 16), sum);
        sum = _mm512_fmadd_ps((__m512)_mm512_and_si512(a, upper), (__m512)_mm512_and_si512(b, upper), sum);
    }
    return _mm512_reduce_add_ps(sum);
}

/* Of 32 queries: their shares again, and the gradient of their scores (before the scale). */
TARGET static void slope(const Heads *h, const Room *room, int64_t first, const float *sums, const float *dots) {
    for (int64_t r = 0; r < WIDE; r++) {
        int64_t count = keys_of(h, first + r), at = r * room->rows;
        __m512 top = _mm512_set1_ps(count ? sums[first + r] : 0), dot = _mm512_set1_ps(count ? dots[first + r] : 0);
        __m512 found[2], away[2];
        for (int64_t j = 0; j < room->rows; j += WIDE) {
            shares_of(room->scores + at + j, count - j, _mm512_set1_ps(h->scale), top, found);
            for (int half = 0; half < 2; half++) {
                __m512 sent = _mm512_load_ps(room->others + at + j + half * SIDE);
                away[half] = _mm512_mul_ps(found[half], _mm512_sub_ps(sent, dot));
            }
            _mm512_store_si512(room->shares + at + j, (__m512i)_mm512_cvtne2ps_pbh(found[1], found[0]));
            _mm512_store_si512(room->slopes + at + j, (__m512i)_mm512_cvtne2ps_pbh(away[1], away[0]));
        }
    }
}

/* The gradients of one head's queries, keys and values. */
TARGET static void backward(const Heads *h, const Room *room, const uint16_t *from, const uint16_t *made,
                            const uint16_t *sent, const float *sums, float *dots, uint16_t *to) {
    copy(h, from, h->row, room->q);
    copy(h, from + h->part, h->row, room->k);
    copy(h, from + 2 * h->part, h->row, room->v);
    copy(h, sent, h->made_row, room->sent);
    pack_deep(room, room->k, room->k_deep);
    pack_deep(room, room->v, room->v_deep);
    pack_long(room, room->k, room->k_long);
    pack_long(room, room->q, room->q_long);
    pack_long(room, room->sent, room->sent_long);
    for (int64_t r = 0; r < h->rows; r++) dots[r] = product(sent + r * h->made_row, made + r * h->made_row, h->width);
    for (int64_t first = 0; first < room->rows; first += WIDE) {
        score(room, room->q + first * room->width, room->k_deep, room->scores);
        score(room, room->sent + first * room->width, room->v_deep, room->others);
        slope(h, room, first, sums, dots);
        mix(h, room, room->slopes, 2 * room->rows, SIDE * room->rows, DEEP, room->k_long, first, h->scale, to, h->row);
        for (int64_t block = 0; block < room->blocks; block++) {
            int64_t at = (block * room->blocks + first / WIDE) * 2 * TILE;
            pack_turned(room->shares + block * WIDE, room->rows, room->shares_turned + at);
            pack_turned(room->slopes + block * WIDE, room->rows, room->slopes_turned + at);
        }
    }
    for (int64_t block = 0; block < room->blocks; block++) {
        int64_t at = block * room->blocks * 2 * TILE, first = block * WIDE;
        mix(h, room, room->slopes_turned + at, ROW, TILE, 2 * TILE, room->q_long, first, h->scale, to + h->part, h->row);
        mix(h, room, room->shares_turned + at, ROW, TILE, 2 * TILE, room->sent_long, first, 1, to + 2 * h->part, h->row);
    }
}

/* Heads `first` to `last` of all pictures; -1 when there is no memory. */
TARGET int attention_apply(const Heads *h, int64_t first, int64_t last) {
    Room room;
    if (get_room(h, 0, &room)) return -1;
    use_tiles();
    for (int64_t i = first; i < last; i++) {
        int64_t picture = i / h->heads, head = i % h->heads * h->width;
        forward(h, &room, h->from + picture * h->picture + head, h->to + picture * h->made_picture + head,
                h->sums + i * h->rows);
    }
    release_tiles();
    free(room.memory);
    return 0;
}

TARGET int attention_back(const Heads *h, int64_t first, int64_t last) {
    Room room;
    float *dots = malloc((size_t)h->rows * sizeof *dots);
    int failed = !dots || get_room(h, 1, &room);
    if (!failed) {
        use_tiles();
        for (int64_t i = first; i < last; i++) {
            int64_t head = i % h->heads * h->width, there = i / h->heads * h->picture + head;
            int64_t here = i / h->heads * h->made_picture + head;
            backward(h, &room, h->from + there, h->made + here, h->sent + here, h->sums + i * h->rows, dots, h->to + there);
        }
        release_tiles();
        free(room.memory);
    }
    free(dots);
    return failed ? -1 : 0;
}

#endif
