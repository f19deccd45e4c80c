/* Runs the kernel over a file of files, each 4 bytes of length (little-endian) and then its bytes.

   Built by fuzz_native.py with the address and undefined-behaviour sanitizers, which end it at the first fault.
   Arguments: the libjpeg to use, the file, a seed for the crops. Prints how many files were taken. */

#include "../../src/sightword/views/native/kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 4000000 };

JpegLibrary *open_jpeg(const char *path);
void sightword_own_entropy(JpegLibrary *, int);
void sightword_sizes(const JpegLibrary *, const uint8_t *const *, const int64_t *, int64_t, int64_t, int64_t *);
void sightword_jpegs(const JpegLibrary *, const uint8_t *const *, const int64_t *, int64_t, int64_t, int64_t,
                     const View *, int64_t, int, uint8_t *, double *);
int sightword_pixels(const uint8_t *const *, const int64_t *, int64_t, int64_t, const View *, int64_t, int);

static uint32_t state;

static int64_t draw(int64_t from, int64_t to) {
    state = state * 1664525u + 1013904223u;
    return from + (int64_t)(state >> 8) % (to - from + 1);
}

/* A view of one row with every setting drawn; buffers of exactly the size that the kernel may touch. */
static View make_view(int64_t rows, int64_t columns) {
    int64_t size = draw(1, 70), reach = draw(0, 9), height = draw(1, rows), width = draw(1, columns);
    int64_t *box = malloc(4 * sizeof(int64_t)), *span = malloc(sizeof(int64_t));
    uint8_t *flags = malloc(4), *steps = malloc(4);
    float *amounts = malloc(4 * sizeof(float)), *blur = malloc((size_t)(reach + 1) * sizeof(float));
    box[0] = draw(0, rows - height), box[1] = draw(0, columns - width), box[2] = height, box[3] = width;
    *span = reach;
    for (int i = 0; i < 3; i++) flags[i] = (uint8_t)draw(0, 1);
    flags[3] = (uint8_t)(1 << draw(0, 3)); /* eighths of its size that a file is decoded at */
    uint8_t first = (uint8_t)draw(0, 3), none = draw(0, 3) == 0;
    for (uint8_t i = 0; i < 4; i++) steps[i] = none ? 255 : (uint8_t)((first + i) % 4);
    for (int i = 0; i < 4; i++) amounts[i] = (float)draw(0, 1800) / 1000.0f;
    for (int64_t i = 0; i <= reach; i++) blur[i] = 1.0f / (float)(2 * reach + 1);
    return (View){size, box, flags, steps, amounts, flags + 1, blur, span, reach + 1, flags + 2,
                  malloc((size_t)(3 * size * size)), flags + 3};
}

static void drop_view(View *view) {
    void *parts[] = {(void *)view->boxes, (void *)view->flipped, (void *)view->steps, (void *)view->amounts,
                     (void *)view->blur,  (void *)view->spans,   view->out};
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) free(parts[i]);
}

/* The same picture size in memory, so that the kernel's other entry runs as well. */
static void run_pixels(int64_t rows, int64_t columns, const View *views, int level) {
    int64_t size[2] = {rows, columns};
    uint8_t *pixels = malloc((size_t)(3 * rows * columns));
    for (int64_t i = 0; i < 3 * rows * columns; i++) pixels[i] = (uint8_t)(i * 37 >> 2);
    const uint8_t *pictures[1] = {pixels};
    if (sightword_pixels(pictures, size, 0, 1, views, 2, level)) abort();
    free(pixels);
}

/* 1 when the file was taken. What the kernel's own entropy decoder takes, libjpeg's must take as well, and alike. */
static int run(JpegLibrary *library, const uint8_t *file, int64_t bytes, int level) {
    const uint8_t *files[1] = {file};
    int64_t size[2];
    sightword_sizes(library, files, &bytes, 1, MOST, size);
    if (size[0] == 0) return 0;
    View views[2] = {make_view(size[0], size[1]), make_view(size[0], size[1])};
    uint8_t taken[2] = {1, 1}, *first[2];
    double seconds[2] = {0, 0};
    for (int own = 1; own >= 0; own--) {
        sightword_own_entropy(library, own);
        sightword_jpegs(library, files, &bytes, 0, 1, MOST, views, 2, level, &taken[own], seconds);
        for (int v = 0; v < 2 && taken[own]; v++) {
            size_t room = (size_t)(3 * views[v].size * views[v].size);
            if (own) first[v] = memcpy(malloc(room), views[v].out, room);
            else if (taken[1] && memcmp(first[v], views[v].out, room)) abort();
        }
    }
    if (taken[1] && !taken[0]) abort();
    for (int v = 0; v < 2 && taken[1]; v++) free(first[v]);
    if (taken[0] && size[0] * size[1] < 100000) run_pixels(size[0], size[1], views, level);
    drop_view(&views[0]);
    drop_view(&views[1]);
    return taken[1];
}

int main(int count, char **arguments) {
    if (count != 4) return 2;
    JpegLibrary *library = open_jpeg(arguments[1]);
    FILE *input = fopen(arguments[2], "rb");
    if (!library || !input) return 3;
    state = (uint32_t)atoi(arguments[3]);
    int files = 0, taken = 0;
    for (uint8_t length[4]; fread(length, 1, 4, input) == 4; files++) {
        int64_t bytes = length[0] | length[1] << 8 | length[2] << 16 | (int64_t)length[3] << 24;
        uint8_t *file = malloc((size_t)(bytes ? bytes : 1)); /* exactly as long: one byte more is a fault */
        if (fread(file, 1, (size_t)bytes, input) != (size_t)bytes) return 4;
        taken += run(library, file, bytes, files % 3);
        free(file);
    }
    printf("%d %d\n", files, taken);
    fclose(input);
    free(library);
    return 0;
}
