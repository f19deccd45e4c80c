/* The matrix tiles (AMX) of newer Intel processors, and how numbers are laid out for them.

   A tile of bfloat16 holds 16 rows of 32 numbers. A product of two reads the left one as 16 rows of 32 numbers that
   are summed over, the right one as 16 pairs of them, each pair's two numbers side by side for 16 columns. */

#ifndef SIGHTWORD_TILES_H
#define SIGHTWORD_TILES_H

#include <immintrin.h>
#include <stdint.h>

enum { SIDE = 16, DEEP = 32, TILE = SIDE * DEEP, WIDE = 2 * SIDE, ROW = 64 }; /* ROW: bytes of a tile's row */

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16,amx-tile,amx-bf16")))

/* Compilers do not know what memory the tiles' instructions read and write: let none of it wait in registers. */
#define WRITTEN __asm__ volatile("" ::: "memory")

typedef struct {
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} __attribute__((packed)) Tiles;

TARGET static inline void use_tiles(void) {
    Tiles tiles __attribute__((aligned(64))) = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        tiles.bytes[i] = ROW;
        tiles.rows[i] = SIDE;
    }
    WRITTEN;
    _tile_loadconfig(&tiles);
}

TARGET static inline void release_tiles(void) {
    _tile_release();
}

/* 16 rows of 16 pairs, turned: rows become columns of pairs. */
TARGET static inline void turn(__m512i a[SIDE], uint16_t *to) {
    __m512i b[SIDE];
    for (int i = 0; i < SIDE; i += 2) {
        b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
    }
    for (int i = 0; i < SIDE; i += 4)
        for (int j = 0; j < 2; j++) {
            a[i + 2 * j] = _mm512_unpacklo_epi64(b[i + j], b[i + j + 2]);
            a[i + 2 * j + 1] = _mm512_unpackhi_epi64(b[i + j], b[i + j + 2]);
        }
    for (int i = 0; i < 4; i++) { /* a[4 q + i]: columns i, 4 + i, 8 + i, 12 + i of rows 4 q to 4 q + 3 */
        __m512i one = _mm512_shuffle_i32x4(a[i], a[4 + i], 0x88), two = _mm512_shuffle_i32x4(a[8 + i], a[12 + i], 0x88);
        __m512i three = _mm512_shuffle_i32x4(a[i], a[4 + i], 0xdd);
        __m512i four = _mm512_shuffle_i32x4(a[8 + i], a[12 + i], 0xdd);
        _mm512_store_si512(to + DEEP * i, _mm512_shuffle_i32x4(one, two, 0x88));
        _mm512_store_si512(to + DEEP * (8 + i), _mm512_shuffle_i32x4(one, two, 0xdd));
        _mm512_store_si512(to + DEEP * (4 + i), _mm512_shuffle_i32x4(three, four, 0x88));
        _mm512_store_si512(to + DEEP * (12 + i), _mm512_shuffle_i32x4(three, four, 0xdd));
    }
}

/* Two rows of 32 numbers as pairs: of the first 16 columns, then of the others. */
TARGET static inline void pair(__m512i first, __m512i second, __m512i *low, __m512i *high) {
    __m512i even = _mm512_unpacklo_epi16(first, second), odd = _mm512_unpackhi_epi16(first, second);
    __m512i front = _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0), back = _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4);
    *low = _mm512_permutex2var_epi64(even, front, odd);
    *high = _mm512_permutex2var_epi64(even, back, odd);
}

/* 16 bfloat16 numbers as float32. */
TARGET static inline __m512 widened(const uint16_t *from) {
    return (__m512)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)from)), 16);
}

/* 32 float32 numbers, rounded. */
TARGET static inline __m512i narrow(__m512 low, __m512 high) {
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

TARGET static inline __m512i rounded(const float *from) {
    return narrow(_mm512_loadu_ps(from), _mm512_loadu_ps(from + SIDE));
}

enum { REMEMBERED = 1 << 22 }; /* bytes of an answer that may still be in a cache when it is read */

/* 32 numbers, or 16, to a line of memory: past the caches if all of them are too much for those, since the line would
   be fetched only to be overwritten. */
TARGET static inline void store_numbers(uint16_t *to, __m512i numbers, int past) {
    if (past) _mm512_stream_si512((__m512i *)to, numbers);
    else _mm512_store_si512((__m512i *)to, numbers);
}

TARGET static inline void store_floats(float *to, __m512 numbers, int past) {
    if (past) _mm512_stream_ps(to, numbers);
    else _mm512_store_ps(to, numbers);
}

TARGET static inline void clear_sums(void) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
}

/* Sums of 32 rows by 32 columns, four tiles. */
TARGET static inline void load_sums(const float *sums) {
    enum { FLOATS = SIDE * SIDE };
    _tile_loadd(0, sums, ROW);
    _tile_loadd(1, sums + FLOATS, ROW);
    _tile_loadd(2, sums + 2 * FLOATS, ROW);
    _tile_loadd(3, sums + 3 * FLOATS, ROW);
}

/* The same, past the nearest cache. */
TARGET static inline void pass_sums(const float *sums) {
    enum { FLOATS = SIDE * SIDE };
    _tile_stream_loadd(0, sums, ROW);
    _tile_stream_loadd(1, sums + FLOATS, ROW);
    _tile_stream_loadd(2, sums + 2 * FLOATS, ROW);
    _tile_stream_loadd(3, sums + 3 * FLOATS, ROW);
}

TARGET static inline void store_sums(float *sums) {
    enum { FLOATS = SIDE * SIDE };
    _tile_stored(0, sums, ROW);
    _tile_stored(1, sums + FLOATS, ROW);
    _tile_stored(2, sums + 2 * FLOATS, ROW);
    _tile_stored(3, sums + 3 * FLOATS, ROW);
}

/* The first 16 rows of these sums, or the others. */
TARGET static inline void store_half(int lower, float *sums) {
    enum { FLOATS = SIDE * SIDE };
    if (lower) {
        _tile_stored(2, sums, ROW);
        _tile_stored(3, sums + FLOATS, ROW);
    } else {
        _tile_stored(0, sums, ROW);
        _tile_stored(1, sums + FLOATS, ROW);
    }
}

/* 32 rows, `bytes` apart, and the next 16 of them `down` numbers further, times two tiles that lie together. */
TARGET static inline void add_product(const uint16_t *left, int64_t bytes, int64_t down, const uint16_t *right) {
    _tile_loadd(4, left, bytes);
    _tile_loadd(6, right, ROW);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, right + TILE, ROW);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, left + down, bytes);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
}

/* The same of 32 rows that are two tiles; they pass the nearest cache by, so that what is on the right stays there. */
TARGET static inline void add_passing(const uint16_t *left, const uint16_t *right) {
    _tile_stream_loadd(4, left, ROW);
    _tile_loadd(6, right, ROW);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, right + TILE, ROW);
    _tile_dpbf16ps(1, 4, 7);
    _tile_stream_loadd(5, left + TILE, ROW);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
}

#endif
