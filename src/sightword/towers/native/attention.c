/* Attention of each head by matrix tiles: the softmax of 32 queries' scores, which stay in the nearest cache, times the
   values. */

#include <math.h>
#include <stdlib.h>

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && __GNUC__ >= 11

#include "attention.h"

typedef struct {
    uint16_t *queries;       /* 32 of them */
    uint16_t *keys, *values; /* packed deep, packed long */
    uint16_t *shares;        /* 32 queries', in squares */
    float *scores;           /* the same */
    Lines lines;             /* of a picture */
    void *memory;
} Room;

/* -1 when there is no memory. */
static int get_room(const Heads *h, Room *room) {
    int64_t rows = padded(h->rows), each = rows * h->width;
    int64_t numbers = 2 * each + WIDE * h->width + 3 * WIDE * rows;
    uint16_t *at = room->memory = aligned_alloc(64, (size_t)(2 * numbers + 16 * rows));
    if (!at) return -1;
    room->lines.all = (int64_t *)(at + numbers), room->lines.own = room->lines.all + rows;
    room->keys = at, room->values = at + each, room->queries = at + 2 * each;
    room->shares = room->queries + WIDE * h->width, room->scores = (float *)(room->shares + WIDE * rows);
    return 0;
}

TARGET static float highest(float *scores, int64_t row, int64_t count) {
    __m512 top = _mm512_set1_ps(-INFINITY);
    for (int64_t j = 0; j < count; j += SIDE) {
        __mmask16 seen = count - j >= SIDE ? 0xffff : (__mmask16)((1u << (count - j)) - 1);
        float *at = sixteen(scores + j / WIDE * BLOCK, row, j / SIDE % 2);
        top = _mm512_mask_max_ps(top, seen, top, _mm512_load_ps(at));
    }
    return _mm512_reduce_max_ps(top);
}

/* exp(score * scale - top) in the scores' place, and their sum. */
TARGET static float raise(float *scores, int64_t row, int64_t count, float scale, float top) {
    __m512 total = _mm512_setzero_ps(), by = _mm512_set1_ps(scale), above = _mm512_set1_ps(top);
    for (int64_t j = 0; j < count; j += WIDE) {
        float *low = sixteen(scores + j / WIDE * BLOCK, row, 0), *high = low + FLOATS;
        __m512 one = share_of(low, count - j, by, above), two = share_of(high, count - j - SIDE, by, above);
        total = _mm512_add_ps(total, _mm512_add_ps(one, two));
        _mm512_store_ps(low, one);
        _mm512_store_ps(high, two);
    }
    return _mm512_reduce_add_ps(total);
}

TARGET static void divide(float *scores, int64_t row, int64_t count, float sum, uint16_t *shares) {
    __m512 by = _mm512_set1_ps(1 / sum);
    for (int64_t j = 0; j < count; j += WIDE) {
        float *low = sixteen(scores + j / WIDE * BLOCK, row, 0);
        __m512 one = _mm512_mul_ps(_mm512_load_ps(low), by), two = _mm512_mul_ps(_mm512_load_ps(low + FLOATS), by);
        _mm512_store_si512(shares + j / WIDE * SQUARE + row * WIDE, narrow(one, two));
    }
}

/* Softmax of 32 queries' scores, rounded, and the logarithms of its sums. All rows at each step: one row's would wait for
   each other. Meanwhile rows of the three `next` are called, if it is not NULL. */
TARGET static void share_out(const Heads *h, const Room *room, int64_t first, const Part *next, float *sums) {
    int64_t rows = h->rows - first < WIDE ? h->rows - first : WIDE;
    float tops[WIDE], totals[WIDE];
    for (int64_t r = 0; r < rows; r++) tops[r] = highest(room->scores, r, keys_of(h, first + r)) * h->scale;
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t part = 0; next && part < 3; part++) expect(h, next[part], first + r);
        totals[r] = raise(room->scores, r, keys_of(h, first + r), h->scale, tops[r]);
    }
    for (int64_t r = 0; r < rows; r++) divide(room->scores, r, keys_of(h, first + r), totals[r], room->shares);
    for (int64_t r = 0; r < rows; r++) sums[first + r] = tops[r] + logf(totals[r]);
}

/* One head of one picture; `next`: whether the one behind it comes next. */
TARGET static void forward(const Heads *h, const Room *room, int64_t head, int next) {
    Part own[3], others[3];
    for (int64_t part = 0; part < 3; part++) {
        own[part] = part_of(h, &room->lines, head, h->from, 3, part);
        others[part] = part_of(h, &room->lines, head + 1, h->from, 3, part);
    }
    pack_deep(h, own[1], room->keys);
    pack_long(h, own[2], room->values);
    for (int64_t first = 0; first < h->rows; first += WIDE) {
        int64_t seen = seen_by(h, first);
        copy(h, own[0], first, room->queries);
        for (int64_t block = 0; block < seen; block++)
            score(h, room->queries, room->keys + block * WIDE * h->width, room->scores + block * BLOCK);
        share_out(h, room, first, next ? others : NULL, h->sums + head * h->rows);
        mix(h, room->shares, room->values, 0, seen, first, 1, part_of(h, &room->lines, head, h->to, 1, 0));
    }
}

/* Heads `first` to `last` of all pictures; -1 when there is no memory. */
TARGET int attention_apply(const Heads *h, int64_t first, int64_t last) {
    Room room;
    if (get_room(h, &room)) return -1;
    memset(room.shares, 0, (size_t)(padded(h->rows) * WIDE) * sizeof *room.shares); /* of queries that there are not */
    use_tiles();
    for (int64_t head = first; head < last; head++) {
        if (head == first || head % h->heads == 0) find_lines(h, head / h->heads, room.lines);
        forward(h, &room, head, head + 1 < last && (head + 1) % h->heads);
    }
    release_tiles();
    free(room.memory);
    return 0;
}

#endif
