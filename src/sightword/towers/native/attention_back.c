/* What attention sends back, head by head. Shares are made anew from the scores and the logarithm of each row's sum, 32
   queries by 32 keys at a time (Dao 2023, arXiv 2307.08691, algorithm 2, with queries in its outer loop: a head's shares
   and their slopes are few enough to stay in the second cache until keys and values meet them). */

#include <stdlib.h>

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && __GNUC__ >= 11

#include "attention.h"

typedef struct {
    uint16_t *q, *sent;                      /* 32 rows */
    uint16_t *k_deep, *v_deep;               /* packed deep */
    uint16_t *k_long, *q_long, *sent_long;   /* packed long */
    uint16_t *share, *slopes;                /* a square; 32 queries', in squares */
    uint16_t *shares_turned, *slopes_turned; /* squares of all: keys by queries */
    float *scores, *others, *dots;           /* a square's; a square's; one for each row */
    Lines lines;                             /* of a picture */
    void *memory;
} Room;

/* -1 when there is no memory. */
static int get_room(const Heads *h, Room *room) {
    int64_t rows = padded(h->rows), each = rows * h->width;
    int64_t numbers = 5 * each + 2 * WIDE * h->width + SQUARE + WIDE * rows + 2 * rows * rows, floats = 2 * BLOCK + rows;
    uint16_t *at = room->memory = aligned_alloc(64, (size_t)(2 * numbers + 4 * floats + 16 * rows));
    if (!at) return -1;
    uint16_t **arrays[] = {&room->k_deep, &room->v_deep, &room->k_long, &room->q_long, &room->sent_long};
    for (int i = 0; i < 5; i++, at += each) *arrays[i] = at;
    room->q = at, room->sent = at += WIDE * h->width, at += WIDE * h->width;
    room->share = at, room->slopes = at += SQUARE, room->shares_turned = at += WIDE * rows;
    room->slopes_turned = at += rows * rows;
    room->scores = (float *)(at + rows * rows);
    room->others = room->scores + BLOCK, room->dots = room->others + BLOCK;
    room->lines.all = (int64_t *)(room->dots + rows), room->lines.own = room->lines.all + rows;
    return 0;
}

/* The sum of a row's gradient times its answer, for each row. */
TARGET static void multiply(const Heads *h, Part sent, Part made, float *to) {
    __m512i upper = _mm512_set1_epi32((int)0xffff0000u);
    for (int64_t r = 0; r < h->rows; r++) {
        __m512 sum = _mm512_setzero_ps();
        for (int64_t n = 0; n < h->width; n += WIDE) {
            __m512i a = load(h, &sent, r, n), b = load(h, &made, r, n);
            sum = _mm512_fmadd_ps((__m512)_mm512_slli_epi32(a, 16), (__m512)_mm512_slli_epi32(b, 16), sum);
            sum = _mm512_fmadd_ps((__m512)_mm512_and_si512(a, upper), (__m512)_mm512_and_si512(b, upper), sum);
        }
        to[r] = _mm512_reduce_add_ps(sum);
    }
}

/* Of 32 queries by 32 keys: their shares again, and the gradient of their scores (before the scale). */
TARGET static void slope(const Heads *h, const Room *room, int64_t query, int64_t key, const float *sums, uint16_t *slopes) {
    __m512 scale = _mm512_set1_ps(h->scale);
    for (int64_t r = 0; r < WIDE; r++) {
        int64_t left = keys_of(h, query + r) - key;
        __m512 found[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()}, away[2] = {found[0], found[0]};
        for (int64_t half = 0; half < 2 && left > half * SIDE; half++) {
            __m512 top = _mm512_set1_ps(sums[query + r]), dot = _mm512_set1_ps(room->dots[query + r]);
            __m512 sent = _mm512_load_ps(sixteen(room->others, r, half));
            found[half] = share_of(sixteen(room->scores, r, half), left - half * SIDE, scale, top);
            away[half] = _mm512_mul_ps(found[half], _mm512_sub_ps(sent, dot));
        }
        _mm512_store_si512(room->share + r * WIDE, narrow(found[0], found[1]));
        _mm512_store_si512(slopes + r * WIDE, narrow(away[0], away[1]));
    }
}

/* A square as left tiles of the turned matrix. */
TARGET static void pack_turned(const uint16_t *from, uint16_t *to) {
    __m512i low[SIDE], high[SIDE];
    for (int64_t i = 0; i < SIDE; i++) {
        const uint16_t *row = from + 2 * i * WIDE;
        pair(_mm512_load_si512(row), _mm512_load_si512(row + WIDE), low + i, high + i);
    }
    turn(low, to);
    turn(high, to + TILE);
}

/* All that is read of a head: its queries, keys and values, what was sent to its answer, and the answer. */
enum { QUERIES, KEYS, VALUES, SENT, MADE, PARTS };

static void find_parts(const Heads *h, const Room *room, int64_t head, Part parts[PARTS]) {
    for (int64_t part = 0; part < 3; part++) parts[part] = part_of(h, &room->lines, head, h->from, 3, part);
    parts[SENT] = part_of(h, &room->lines, head, h->sent, 1, 0);
    parts[MADE] = part_of(h, &room->lines, head, h->made, 1, 0);
}

TARGET static void prepare(const Heads *h, const Room *room, const Part parts[PARTS]) {
    pack_deep(h, parts[KEYS], room->k_deep);
    pack_deep(h, parts[VALUES], room->v_deep);
    pack_long(h, parts[KEYS], room->k_long);
    pack_long(h, parts[QUERIES], room->q_long);
    pack_long(h, parts[SENT], room->sent_long);
    multiply(h, parts[SENT], parts[MADE], room->dots);
}

/* 32 queries: their gradient `to`, and what their keys and values will need. Meanwhile rows of `next` are called. */
TARGET static void query(const Heads *h, const Room *room, const Part parts[PARTS], const Part *next, int64_t first,
                         const float *sums, Part to) {
    int64_t seen = seen_by(h, first), blocks = padded(h->rows) / WIDE;
    copy(h, parts[QUERIES], first, room->q);
    copy(h, parts[SENT], first, room->sent);
    for (int64_t block = 0; block < seen; block++) {
        int64_t deep = block * WIDE * h->width, turned = (block * blocks + first / WIDE) * SQUARE;
        uint16_t *slopes = room->slopes + block * SQUARE;
        for (int64_t r = block * WIDE / seen; next && r < (block + 1) * WIDE / seen; r++)
            for (int64_t part = 0; part < PARTS; part++) expect(h, next[part], first + r);
        score(h, room->q, room->k_deep + deep, room->scores);
        score(h, room->sent, room->v_deep + deep, room->others);
        slope(h, room, first, block * WIDE, sums, slopes);
        pack_turned(room->share, room->shares_turned + turned);
        pack_turned(slopes, room->slopes_turned + turned);
    }
    mix(h, room->slopes, room->k_long, 0, seen, first, h->scale, to);
}

/* The gradients of one head's queries, keys and values; `next`: whether the one behind it comes next. */
TARGET static void backward(const Heads *h, const Room *room, int64_t head, int next) {
    int64_t blocks = padded(h->rows) / WIDE;
    Part parts[PARTS], others[PARTS], to[3];
    find_parts(h, room, head, parts);
    find_parts(h, room, head + 1, others);
    for (int64_t part = 0; part < 3; part++) to[part] = part_of(h, &room->lines, head, h->to, 3, part);
    prepare(h, room, parts);
    for (int64_t first = 0; first < h->rows; first += WIDE)
        query(h, room, parts, next ? others : NULL, first, h->sums + head * h->rows, to[QUERIES]);
    for (int64_t block = 0; block < blocks; block++) {
        int64_t turned = block * blocks * SQUARE, from = h->causal ? block : 0;
        mix(h, room->slopes_turned + turned, room->q_long, from, blocks, block * WIDE, h->scale, to[KEYS]);
        mix(h, room->shares_turned + turned, room->sent_long, from, blocks, block * WIDE, 1, to[VALUES]);
    }
}

/* Heads `first` to `last` of all pictures; -1 when there is no memory. */
TARGET int attention_back(const Heads *h, int64_t first, int64_t last) {
    Room room;
    if (get_room(h, &room)) return -1;
    use_tiles();
    for (int64_t head = first; head < last; head++) {
        if (head == first || head % h->heads == 0) find_lines(h, head / h->heads, room.lines);
        backward(h, &room, head, head + 1 < last && (head + 1) % h->heads);
    }
    release_tiles();
    free(room.memory);
    return 0;
}

#endif
