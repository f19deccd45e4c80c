/* Rows become columns, in blocks that fit the vector registers. */

#ifndef SIGHTWORD_TRANSPOSE_H
#define SIGHTWORD_TRANSPOSE_H

#include <stdint.h>
#include <string.h>

typedef uint8_t Bytes __attribute__((vector_size(16)));
typedef int16_t Words __attribute__((vector_size(16)));

#if defined(__clang__) || __GNUC__ >= 12
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#define PICK_WORDS PICK
#else
#define PICK(a, b, ...) __builtin_shuffle(a, b, (Bytes){__VA_ARGS__})
#define PICK_WORDS(a, b, ...) __builtin_shuffle(a, b, (Words){__VA_ARGS__})
#endif

/* 16 rows of 16 bytes: each round deals the upper half of the rows among the lower, four make a transposition. */
static inline void turn_bytes(Bytes rows[16]) {
    Bytes dealt[16];
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 8; i++) {
            Bytes a = rows[i], b = rows[i + 8];
            dealt[2 * i] = PICK(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            dealt[2 * i + 1] = PICK(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        }
        memcpy(rows, dealt, sizeof(dealt));
    }
}

/* 8 rows of 8 words, from rows `in_step` apart to rows `out_step` apart. */
static inline void turn_words(const int16_t *in, int64_t in_step, int16_t *out, int64_t out_step) {
    Words rows[8], dealt[8];
    for (int i = 0; i < 8; i++) memcpy(&rows[i], in + i * in_step, 16);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++) {
            dealt[2 * i] = PICK_WORDS(rows[i], rows[i + 4], 0, 8, 1, 9, 2, 10, 3, 11);
            dealt[2 * i + 1] = PICK_WORDS(rows[i], rows[i + 4], 4, 12, 5, 13, 6, 14, 7, 15);
        }
        memcpy(rows, dealt, sizeof(dealt));
    }
    for (int i = 0; i < 8; i++) memcpy(out + i * out_step, &rows[i], 16);
}

/* `rows` x `columns` bytes with `in_step` from row to row. `out` has room for whole blocks of 16 x 16. */
static inline void turn_block(const uint8_t *in, int64_t in_step, int64_t rows, int64_t columns, uint8_t *out,
                              int64_t out_step) {
    for (int64_t y = 0; y < rows; y += 16) {
        for (int64_t x = 0; x < columns; x += 16) {
            int64_t high = rows - y < 16 ? rows - y : 16, wide = columns - x < 16 ? columns - x : 16;
            Bytes block[16];
            memset(block, 0, sizeof(block));
            for (int64_t i = 0; i < high; i++) memcpy(&block[i], in + (y + i) * in_step + x, (size_t)wide);
            turn_bytes(block);
            for (int64_t i = 0; i < 16; i++) memcpy(out + (x + i) * out_step + y, &block[i], 16);
        }
    }
}

#endif
