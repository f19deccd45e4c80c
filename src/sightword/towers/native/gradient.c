/* The gradient of a convolution's weights in bfloat16, by the matrix tiles (AMX) of newer Intel processors.

   It is a product: gradients sent to all places of the map, turned, times each place's patch of the picture. Both are
   packed as the tiles want them, some places at a time so that they stay in the cache, and summed in float32. One
   thread makes a part of the columns, each over all places in their order, so numbers do not depend on threads. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 16, DEEP = 32, TILE = SIDE * DEEP, WIDE = 2 * SIDE }; /* a tile: 16 rows of 32 numbers */
enum { IN_CACHE = 1 << 20 };                                        /* bytes that are packed at a time */

/* A map and the patches of a padded picture that its places look at: numbers, not bytes, apart. */
typedef struct {
    int64_t batch, height, width;    /* places of the map */
    int64_t out, high, segment;      /* its channels; a patch's rows, and numbers in each */
    int64_t picture, row, down, right; /* from picture to picture, row to row, place to place */
} Shape;

/* Pictures of rows of channels with a border of zeros, `down` above and below and `right` at both sides. */
void gradient_pad(const uint16_t *from, int64_t batch, int64_t height, int64_t width, int64_t channels, int64_t down,
                  int64_t right, uint16_t *to) {
    size_t row = (size_t)(width * channels), side = (size_t)(right * channels), whole = row + 2 * side;
    for (int64_t b = 0; b < batch; b++) {
        memset(to, 0, (size_t)down * whole * sizeof *to);
        to += (size_t)down * whole;
        for (int64_t y = 0; y < height; y++, from += row, to += whole) {
            memset(to, 0, side * sizeof *to);
            memcpy(to + side, from, row * sizeof *to);
            memset(to + side + row, 0, side * sizeof *to);
        }
        memset(to, 0, (size_t)down * whole * sizeof *to);
        to += (size_t)down * whole;
    }
}

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && __GNUC__ >= 11

#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,amx-tile,amx-bf16")))

/* Compilers do not know what memory the tiles' instructions read and write: let none of it wait in registers. */
#define WRITTEN __asm__ volatile("" ::: "memory")

typedef struct {
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} __attribute__((packed)) Tiles;

/* Whether this processor has the tiles and the system lets this process use them. */
int gradient_usable(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d >> 22 & 1) || !(d >> 24 & 1)) return 0;
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl")) return 0;
    enum { ASK = 0x1023, TILE_DATA = 18 }; /* arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) */
    return syscall(SYS_arch_prctl, ASK, TILE_DATA) == 0;
}

/* Two neighbours' numbers in turns: those of the first and third quarter of each eight, then of the others. */
TARGET static inline void pair(__m512i first, __m512i second, uint16_t *low, uint16_t *high) {
    _mm512_store_si512(low, _mm512_unpacklo_epi16(first, second));
    _mm512_store_si512(high, _mm512_unpackhi_epi16(first, second));
}

/* Which of 32 numbers stands in column `j` of the tile `half` that `pair` fills. */
static inline int64_t column(int64_t half, int64_t j) {
    return 8 * (j / 4) + 4 * half + j % 4;
}

TARGET static inline __m512i numbers(const uint16_t *from, int64_t left) {
    return left >= DEEP ? _mm512_loadu_si512(from) : _mm512_maskz_loadu_epi16((1u << left) - 1, from);
}

/* A tile of 16 rows of 16 pairs, turned. */
TARGET static void turn(const uint16_t *from, uint16_t *to) {
    __m512i a[SIDE], b[SIDE];
    for (int i = 0; i < SIDE; i++) a[i] = _mm512_load_si512(from + DEEP * i);
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

/* Gradients sent to places `first` and on, 32 of them in a block: two tiles for each 32 channels. */
TARGET static void pack_sent(const Shape *shape, const uint16_t *sent, int64_t first, int64_t blocks, uint16_t *to) {
    int64_t places = shape->batch * shape->height * shape->width;
    uint16_t turned[2][TILE] __attribute__((aligned(64)));
    for (int64_t c = 0; c < shape->out; c += WIDE)
        for (int64_t k = 0; k < blocks; k++, to += 2 * TILE) {
            for (int64_t i = 0; i < SIDE; i++) {
                int64_t place = first + DEEP * k + 2 * i;
                const uint16_t *from = sent + place * shape->out + c;
                __m512i none = _mm512_setzero_si512();
                __m512i one = place < places ? _mm512_loadu_si512(from) : none;
                __m512i two = place + 1 < places ? _mm512_loadu_si512(from + shape->out) : none;
                pair(one, two, turned[0] + DEEP * i, turned[1] + DEEP * i);
            }
            turn(turned[0], to);
            turn(turned[1], to + TILE);
        }
}

/* Where the patches of places `first` and on begin; of places that are not, NULL. */
static void find_patches(const Shape *shape, const uint16_t *x, int64_t first, int64_t blocks, const uint16_t **found) {
    int64_t places = shape->batch * shape->height * shape->width, across = first % shape->width;
    int64_t line = first / shape->width % shape->height, picture = first / shape->width / shape->height;
    for (int64_t i = 0; i < DEEP * blocks; i++) {
        int64_t at = picture * shape->picture + line * shape->down + across * shape->right;
        found[i] = first + i < places ? x + at : NULL;
        if (++across < shape->width) continue;
        across = 0;
        if (++line < shape->height) continue;
        line = 0;
        picture++;
    }
}

/* One column block (32 numbers of a row of the patches) of those places. */
TARGET static void pack_patches(const Shape *shape, const uint16_t **found, int64_t block, int64_t blocks, uint16_t *to) {
    int64_t in_row = (shape->segment + DEEP - 1) / DEEP, left = shape->segment - block % in_row * DEEP;
    int64_t skip = block / in_row * shape->row + block % in_row * DEEP;
    __m512i none = _mm512_setzero_si512();
    for (int64_t k = 0; k < blocks; k++, to += 2 * TILE, found += DEEP)
        for (int64_t i = 0; i < SIDE; i++) {
            __m512i one = found[2 * i] ? numbers(found[2 * i] + skip, left) : none;
            __m512i two = found[2 * i + 1] ? numbers(found[2 * i + 1] + skip, left) : none;
            pair(one, two, to + DEEP * i, to + TILE + DEEP * i);
        }
}

/* 32 channels by 32 columns, four tiles of sums, more of them from these places. */
TARGET static void multiply(const uint16_t *sent, const uint16_t *patches, int64_t blocks, int fresh, float *sums) {
    enum { ROW = 64, FLOATS = SIDE * SIDE };
    WRITTEN;
    if (fresh) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    } else {
        _tile_loadd(0, sums, ROW);
        _tile_loadd(1, sums + FLOATS, ROW);
        _tile_loadd(2, sums + 2 * FLOATS, ROW);
        _tile_loadd(3, sums + 3 * FLOATS, ROW);
    }
    for (int64_t k = 0; k < blocks; k++, sent += 2 * TILE, patches += 2 * TILE) {
        _tile_loadd(4, sent, ROW);
        _tile_loadd(6, patches, ROW);
        _tile_loadd(7, patches + TILE, ROW);
        _tile_loadd(5, sent + TILE, ROW);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, sums, ROW);
    _tile_stored(1, sums + FLOATS, ROW);
    _tile_stored(2, sums + 2 * FLOATS, ROW);
    _tile_stored(3, sums + 3 * FLOATS, ROW);
    WRITTEN;
}

/* Column block `block` from the tiles of all channels to where they belong. */
static void unpack(const Shape *shape, const float *sums, int64_t block, float *out) {
    int64_t in_row = (shape->segment + DEEP - 1) / DEEP, from = block % in_row * DEEP, row = block / in_row;
    for (int64_t c = 0; c < shape->out; c++) {
        const float *tile = sums + c / WIDE * 4 * SIDE * SIDE;
        int64_t inside = c % WIDE, high = inside % 8 / 4, line = inside / 8 * 4 + inside % 4; /* see `column` */
        for (int64_t half = 0; half < 2; half++)
            for (int64_t j = 0; j < SIDE; j++) {
                int64_t n = from + column(half, j);
                if (n < shape->segment)
                    out[(c * shape->high + row) * shape->segment + n] =
                        tile[((2 * high + half) * SIDE + line) * SIDE + j];
            }
    }
}

TARGET static void use_tiles(void) {
    Tiles tiles __attribute__((aligned(64))) = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        tiles.bytes[i] = 64;
        tiles.rows[i] = SIDE;
    }
    WRITTEN;
    _tile_loadconfig(&tiles);
}

TARGET static void release_tiles(void) {
    _tile_release();
}

/* Column blocks `first` to `last` of the gradient, out x high x segment; -1 when there is no memory. */
int gradient_columns(const Shape *shape, const uint16_t *sent, const uint16_t *x, int64_t first, int64_t last,
                     float *out) {
    int64_t places = shape->batch * shape->height * shape->width, rows = shape->out / WIDE, count = last - first;
    int64_t room = IN_CACHE / ((rows + 1) * 2 * TILE * 2), total = (places + DEEP - 1) / DEEP;
    if (room < 8) room = 8;
    if (room > total) room = total;
    uint16_t *packed = aligned_alloc(64, (size_t)(room * 2 * TILE * (rows + 1)) * sizeof *packed);
    float *sums = aligned_alloc(64, (size_t)(count * rows * 4 * SIDE * SIDE) * sizeof *sums);
    const uint16_t **found = malloc((size_t)(room * DEEP) * sizeof *found);
    if (packed && sums && found) {
        use_tiles();
        for (int64_t done = 0; done < total; done += room) {
            int64_t blocks = total - done < room ? total - done : room;
            uint16_t *patches = packed + room * 2 * TILE * rows;
            pack_sent(shape, sent, done * DEEP, blocks, packed);
            find_patches(shape, x, done * DEEP, blocks, found);
            for (int64_t n = 0; n < count; n++) {
                pack_patches(shape, found, first + n, blocks, patches);
                for (int64_t m = 0; m < rows; m++)
                    multiply(packed + m * blocks * 2 * TILE, patches, blocks, !done,
                             sums + (n * rows + m) * 4 * SIDE * SIDE);
            }
        }
        release_tiles();
        for (int64_t n = 0; n < count; n++) unpack(shape, sums + n * rows * 4 * SIDE * SIDE, first + n, out);
    }
    int failed = !packed || !sums || !found;
    free(found);
    free(packed);
    free(sums);
    return failed ? -1 : 0;
}

#else

int gradient_usable(void) {
    return 0;
}

int gradient_columns(const Shape *shape, const uint16_t *sent, const uint16_t *x, int64_t first, int64_t last,
                     float *out) {
    (void)shape, (void)sent, (void)x, (void)first, (void)last, (void)out;
    return -1;
}

#endif
