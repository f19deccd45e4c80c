/* The gradient of a convolution's weights, by matrix tiles.

   It is a product over pictures: at each place and tap, gradients sent to 32 pictures, turned, times what the tap sees
   of them, or the other way round: the smaller map is turned. Both are packed once, 32 pictures at a time, and every tap
   reads them where it finds them. */

#include <stdlib.h>
#include <string.h>

#include "convolution.h"

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && __GNUC__ >= 11

#include "tiles.h"

enum { TOGETHER = 72 }; /* products of places and taps that are made of what is in the nearest cache */

/* 32 pictures of a map as left tiles: for each 32 channels and place, those of 16 channels and of the next. */
TARGET static void pack_left(const Map *map, const uint16_t *from, int64_t pictures, uint16_t *to) {
    int64_t places = map->height * map->width;
    __m512i low[SIDE], high[SIDE], none = _mm512_setzero_si512();
    for (int64_t place = 0; place < places; place++)
        for (int64_t c = 0; c < map->channels; c += WIDE) {
            const uint16_t *at = from + place * map->place + c;
            for (int64_t r = 0; r < SIDE; r++, at += 2 * map->picture) {
                __m512i one = 2 * r < pictures ? _mm512_loadu_si512(at) : none;
                __m512i two = 2 * r + 1 < pictures ? _mm512_loadu_si512(at + map->picture) : none;
                pair(one, two, low + r, high + r);
            }
            uint16_t *tile = to + (c / WIDE * places + place) * 2 * TILE;
            turn(low, tile);
            turn(high, tile + TILE);
        }
}

/* The same as right tiles. */
TARGET static void pack_right(const Map *map, const uint16_t *from, int64_t pictures, uint16_t *to) {
    int64_t places = map->height * map->width;
    __m512i low, high, none = _mm512_setzero_si512();
    for (int64_t place = 0; place < places; place++)
        for (int64_t c = 0; c < map->channels; c += WIDE) {
            const uint16_t *at = from + place * map->place + c;
            uint16_t *tile = to + (c / WIDE * places + place) * 2 * TILE;
            for (int64_t r = 0; r < SIDE; r++, at += 2 * map->picture, tile += DEEP) {
                __m512i one = 2 * r < pictures ? _mm512_loadu_si512(at) : none;
                __m512i two = 2 * r + 1 < pictures ? _mm512_loadu_si512(at + map->picture) : none;
                pair(one, two, &low, &high);
                _mm512_store_si512(tile, low);
                _mm512_store_si512(tile + TILE, high);
            }
        }
}

/* For each tap and place of the answer the place that it sees, or -1. */
static void see(const Convolution *c, int32_t *found, int32_t *room) {
    int64_t taps = c->high * c->wide, places = c->out.height * c->out.width;
    for (int64_t i = 0; i < taps * places; i++) found[i] = -1;
    for (int64_t place = 0; place < places; place++) {
        int64_t count = seen(c, place, room, room + taps);
        for (int64_t m = 0; m < count; m++) found[room[m] * places + place] = room[taps + m];
    }
}

/* 32 outputs by 32 inputs of every tap, or `turned` inputs by outputs: more of their sums, from 32 pictures. */
TARGET static void add_pictures(const Convolution *c, const int32_t *found, int turned, const uint16_t *sent,
                                const uint16_t *x, float *sums) {
    int64_t taps = c->high * c->wide, places = c->out.height * c->out.width;
    int64_t together = taps < TOGETHER ? TOGETHER / taps : 1;
    for (int64_t first = 0; first < places; first += together) {
        int64_t last = first + together < places ? first + together : places;
        for (int64_t tap = 0; tap < taps; tap++) {
            const int32_t *at = found + tap * places;
            float *own = sums + tap * 4 * SIDE * SIDE;
            load_sums(own);
            for (int64_t place = first; place < last; place++)
                if (at[place] >= 0 && turned)
                    add_product(x + at[place] * 2 * TILE, ROW, TILE, sent + place * 2 * TILE);
                else if (at[place] >= 0)
                    add_product(sent + place * 2 * TILE, ROW, TILE, x + at[place] * 2 * TILE);
            store_sums(own);
        }
    }
}

/* 16 outputs by 16 inputs of a tap, or inputs by outputs, to where they belong. */
TARGET static void unpack_tile(const float *sums, int turned, int64_t apart, float *to) {
    __m512i rows[SIDE];
    float other[SIDE * SIDE] __attribute__((aligned(64)));
    if (turned) {
        for (int64_t r = 0; r < SIDE; r++) rows[r] = _mm512_load_si512(sums + r * SIDE);
        turn(rows, (uint16_t *)other);
        sums = other;
    }
    for (int64_t r = 0; r < SIDE; r++) _mm512_storeu_ps(to + r * apart, _mm512_load_ps(sums + r * SIDE));
}

/* The sums of 32 outputs by 32 inputs to out x taps x in. */
static void unpack(const Convolution *c, const float *sums, int turned, int64_t output, int64_t input, float *to) {
    int64_t taps = c->high * c->wide, apart = taps * c->in.channels;
    for (int64_t tap = 0; tap < taps; tap++)
        for (int64_t i = 0; i < 4; i++, sums += SIDE * SIDE) {
            int64_t down = turned ? i % 2 : i / 2, right = turned ? i / 2 : i % 2;
            unpack_tile(sums, turned, apart,
                        to + (output + down * SIDE) * apart + tap * c->in.channels + input + right * SIDE);
        }
}

/* Blocks `first` to `last` of the gradient (out x high x wide x in), each of 32 outputs and 32 inputs, those of the
   same outputs together; -1 when there is no memory. */
TARGET int convolution_weigh(const Convolving *step, int64_t first, int64_t last) {
    const Convolution *c = step->shape;
    int64_t taps = c->high * c->wide, sent_places = c->out.height * c->out.width, seen_places = c->in.height * c->in.width;
    int turned = seen_places * c->in.channels < sent_places * c->out.channels;
    int64_t inputs = c->in.channels / WIDE, each = taps * 4 * SIDE * SIDE, blocks = last - first;
    int64_t sent_size = sent_places * c->out.channels * DEEP, seen_size = seen_places * c->in.channels * DEEP;
    uint16_t *gradients = aligned_alloc(64, (size_t)(sent_size + seen_size) * sizeof *gradients), *maps = gradients + sent_size;
    float *sums = aligned_alloc(64, (size_t)(each * blocks) * sizeof *sums);
    int32_t *found = malloc((size_t)(taps * sent_places + 2 * taps) * sizeof *found);
    if (gradients && sums && found) {
        memset(sums, 0, (size_t)(each * blocks) * sizeof *sums);
        see(c, found, found + taps * sent_places);
        use_tiles();
        for (int64_t done = 0; done < c->batch; done += DEEP) {
            (turned ? pack_right : pack_left)(&c->out, step->from + done * c->out.picture, c->batch - done, gradients);
            (turned ? pack_left : pack_right)(&c->in, step->seen + done * c->in.picture, c->batch - done, maps);
            WRITTEN;
            for (int64_t n = 0; n < blocks; n++)
                add_pictures(c, found, turned, gradients + (first + n) / inputs * sent_places * 2 * TILE,
                             maps + (first + n) % inputs * seen_places * 2 * TILE, sums + n * each);
        }
        WRITTEN;
        release_tiles();
        for (int64_t n = 0; n < blocks; n++)
            unpack(c, sums + n * each, turned, (first + n) / inputs * WIDE, (first + n) % inputs * WIDE, step->to_weight);
    }
    int failed = !gradients || !sums || !found;
    free(found);
    free(sums);
    free(gradients);
    return failed ? -1 : 0;
}

#endif
