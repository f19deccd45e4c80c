/* A convolution, and the gradient that it sends to its input, by matrix tiles.

   At each place of the answer 32 pictures at a time are 32 rows; each tap of the kernel multiplies the rows of the
   place that it sees. Sums are float32 and rounded once. Nothing is padded: taps that see no place are left out. */

#include <stdlib.h>

#include "convolution.h"

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && __GNUC__ >= 11

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tiles.h"

/* Whether this processor has the tiles and the system lets this process use them. */
int convolution_usable(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d >> 22 & 1) || !(d >> 24 & 1)) return 0;
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl")) return 0;
    if (!__builtin_cpu_supports("avx512bf16")) return 0;
    enum { ASK = 0x1023, TILE_DATA = 18 }; /* arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) */
    return syscall(SYS_arch_prctl, ASK, TILE_DATA) == 0;
}

/* Weights (out x high x wide x in, float32) as right tiles of the convolution: for each 32 outputs, tap and 32 inputs
   the tiles of 16 outputs and of the next. Backward in and out change places. */
TARGET static void pack_forward(const Packing *p, int64_t first, int64_t last) {
    int64_t taps = p->taps, in = p->in;
    uint16_t *to = p->to + first * taps * in;
    __m512i rows[SIDE];
    for (int64_t o = first; o < last; o += WIDE)
        for (int64_t t = 0; t < taps; t++)
            for (int64_t i = 0; i < in; i += DEEP)
                for (int64_t half = 0; half < WIDE; half += SIDE, to += TILE) {
                    for (int64_t r = 0; r < SIDE; r++) rows[r] = rounded(p->weight + ((o + half + r) * taps + t) * in + i);
                    turn(rows, to);
                }
}

TARGET static void pack_backward(const Packing *p, int64_t first, int64_t last) {
    int64_t taps = p->taps, in = p->in, out = p->out;
    uint16_t *to = p->to + first * taps * out;
    for (int64_t i = first; i < last; i += WIDE)
        for (int64_t t = 0; t < taps; t++)
            for (int64_t o = 0; o < out; o += DEEP, to += 2 * TILE)
                for (int64_t r = 0; r < SIDE; r++) {
                    const float *from = p->weight + ((o + 2 * r) * taps + t) * in + i;
                    __m512i low, high;
                    pair(rounded(from), rounded(from + taps * in), &low, &high);
                    _mm512_store_si512(to + DEEP * r, low);
                    _mm512_store_si512(to + TILE + DEEP * r, high);
                }
}

/* `first` to `last` of 32 channels each of the answer; they lie where they would lie among all. */
int convolution_pack(const Packing *p, int64_t first, int64_t last) {
    (p->back ? pack_backward : pack_forward)(p, first * WIDE, last * WIDE);
    return 0;
}

/* 16 rows of 32 sums to where they belong, or with `more` onto other numbers that lie alike, rounded. */
TARGET static inline void put(const float *sums, const uint16_t *more, uint16_t *to, int64_t apart) {
    for (int64_t r = 0; r < SIDE; r++) {
        __m512 low = _mm512_load_ps(sums + r * SIDE), high = _mm512_load_ps(sums + (SIDE + r) * SIDE);
        if (more) {
            low = _mm512_add_ps(low, widened(more + r * apart));
            high = _mm512_add_ps(high, widened(more + r * apart + SIDE));
        }
        _mm512_storeu_si512(to + r * apart, (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
}

/* Places `first` to `last` of the answer, or backward of the input's gradient; -1 when there is no memory.

   The batch is at least 32; the last 32 pictures may overlap those before, so that no answer can be written over
   `more`. */
TARGET int convolution_apply(const Convolving *step, int64_t first, int64_t last) {
    const Convolution *c = step->shape;
    int back = step->back != 0;
    const uint16_t *more = step->more;
    float sums[2 * SIDE * SIDE] __attribute__((aligned(64)));
    const Map *given = back ? &c->out : &c->in, *made = back ? &c->in : &c->out;
    int64_t taps = c->high * c->wide, depth = given->channels / DEEP;
    int32_t *tap = malloc((size_t)(2 * taps) * sizeof *tap), *at = tap + taps;
    if (!tap) return -1;
    use_tiles();
    for (int64_t place = first; place < last; place++) {
        int64_t count = back ? seeing(c, place, tap, at) : seen(c, place, tap, at);
        for (int64_t done = 0; done < c->batch; done += WIDE)
            for (int64_t column = 0; column < made->channels; column += WIDE) {
                int64_t picture = done + WIDE <= c->batch ? done : c->batch - WIDE;
                const uint16_t *rows = step->from + picture * given->picture;
                clear_sums();
                for (int64_t m = 0; m < count; m++) {
                    const uint16_t *left = rows + at[m] * given->place;
                    const uint16_t *right = step->weights + (column / WIDE * taps + tap[m]) * depth * 2 * TILE;
                    for (int64_t k = 0; k < depth; k++, left += DEEP, right += 2 * TILE)
                        add_product(left, 2 * given->picture, SIDE * given->picture, right);
                }
                int64_t where = place * made->place + picture * made->picture + column;
                for (int half = 0; half < 2; half++, where += SIDE * made->picture) { /* less memory in the nearest cache */
                    store_half(half, sums);
                    WRITTEN;
                    put(sums, more ? more + where : 0, step->to + where, made->picture);
                    WRITTEN;
                }
            }
    }
    release_tiles();
    free(tap);
    return 0;
}

#else

int convolution_usable(void) {
    return 0;
}

#endif
