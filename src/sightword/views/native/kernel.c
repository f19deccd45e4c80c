/* From files or pictures to all views of a batch: the functions that native.py calls.

   Nothing is kept between calls; different threads may work on different rows of one batch. */

#include "kernel.h"
#include "transpose.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TILE = 1024 }; /* pixels whose colours are worked on at a time */

#define TARGET
#define NAME(name) name##_plain
#include "pixels.h"
#undef TARGET
#undef NAME

#if defined(__x86_64__)
#define TARGET __attribute__((target("avx2")))
#define NAME(name) name##_avx2
#include "pixels.h"
#undef TARGET
#undef NAME

#define TARGET __attribute__((target("avx2,avx512f,avx512bw,avx512vl,avx512dq,prefer-vector-width=512")))
#define NAME(name) name##_avx512
#include "pixels.h"
#undef TARGET
#undef NAME
#endif

typedef struct {
    const char *name;
    int (*view_of_planes)(const Picture *, const View *, int64_t row, uint8_t *out, Scratch *);
    int (*view_of_bytes)(const uint8_t *, int64_t pitch, const View *, int64_t row, uint8_t *out, Scratch *);
} Instructions;

static const Instructions PLAIN = {"plain", view_of_planes_plain, view_of_bytes_plain};
#if defined(__x86_64__)
static const Instructions AVX2 = {"avx2", view_of_planes_avx2, view_of_bytes_avx2};
static const Instructions AVX512 = {"avx512", view_of_planes_avx512, view_of_bytes_avx512};
#endif

/* The widest set that this processor has, of at most `level` (0: plain, 1: AVX2, 2: AVX-512). */
static const Instructions *choose(int level) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (level >= 2 && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        return &AVX512;
    if (level >= 1 && __builtin_cpu_supports("avx2")) return &AVX2;
#endif
    (void)level;
    return &PLAIN;
}

void *scratch(Scratch *memory, int purpose, size_t bytes) {
    bytes = (bytes + 127) / 64 * 64; /* never nothing */
    if (memory->bytes[purpose] < bytes) {
        free(memory->block[purpose]);
        memory->block[purpose] = aligned_alloc(64, bytes);
        memory->bytes[purpose] = memory->block[purpose] ? bytes : 0;
    }
    return memory->block[purpose];
}

static void let_go(Scratch *memory) {
    for (int i = 0; i < PURPOSES; i++) free(memory->block[i]);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static uint8_t *place(const View *view, int64_t row) {
    return view->out + row * 3 * view->size * view->size;
}

int sightword_version(void) {
    return VERSION;
}

const char *sightword_instructions(int level) {
    return choose(level)->name;
}

/* Heights and widths of the JPEGs among these files (NULL: none) that `sightword_jpegs` can take; else 0 x 0. */
void sightword_sizes(const JpegLibrary *library, const uint8_t *const *files, const int64_t *bytes, int64_t count,
                     int64_t most, int64_t *sizes) {
    for (int64_t row = 0; row < count; row++) {
        int64_t size[2] = {0, 0};
        int good = files[row] && read_size(library, files[row], (size_t)bytes[row], most, size) == 0;
        sizes[2 * row] = good ? size[0] : 0;
        sizes[2 * row + 1] = good ? size[1] : 0;
    }
}

/* The file's planes one after the other, as read at full size; how many samples, or -1 if that is not `room`. */
int64_t sightword_planes(const JpegLibrary *library, const uint8_t *file, int64_t bytes, int64_t most, int16_t *out,
                         int64_t room) {
    Scratch memory = {0};
    Picture picture = {0};
    int64_t count = 0;
    if (read_picture(library, file, (size_t)bytes, most, 8, &memory, &picture)) room = -1;
    for (int c = 0; c < picture.colours; c++) {
        const Plane *plane = &picture.planes[c];
        for (int64_t y = 0; y < plane->rows; y++)
            for (int64_t x = 0; x < plane->columns && count < room; x++)
                out[count++] = plane->samples[x * plane->pitch + y];
    }
    let_go(&memory);
    return count == room ? count : -1;
}

/* Every view of a row that is made of the file at so many eighths of its size, if there is one; -1 on failure. */
static int draw_at(int eighths, const JpegLibrary *library, const uint8_t *file, size_t bytes, int64_t most,
                   const View *views, int64_t count, int64_t row, const Instructions *with, Scratch *memory,
                   double *seconds) {
    Picture picture;
    double before = now();
    int failed = 0, decoded = 0;
    for (int64_t v = 0; v < count && !failed; v++) {
        if (views[v].eighths[row] != eighths) continue;
        if (!decoded) {
            failed = read_picture(library, file, bytes, most, eighths, memory, &picture);
            double after = now();
            seconds[0] += after - before;
            before = after;
            decoded = 1;
        }
        if (!failed) failed = with->view_of_planes(&picture, &views[v], row, place(&views[v], row), memory);
    }
    seconds[1] += now() - before;
    return failed;
}

/* Every view of these rows' JPEGs. `taken` becomes 0 for rows that must be made in another way.

   `seconds` (decoding, views) grow by this thread's processor time. */
void sightword_jpegs(const JpegLibrary *library, const uint8_t *const *files, const int64_t *bytes, int64_t first,
                     int64_t last, int64_t most, const View *views, int64_t count, int level, uint8_t *taken,
                     double *seconds) {
    const Instructions *with = choose(level);
    Scratch memory = {0};
    for (int64_t row = first; row < last; row++) {
        int failed = !taken[row];
        for (int eighths = 8; eighths > 0 && !failed; eighths /= 2)
            failed = draw_at(eighths, library, files[row], (size_t)bytes[row], most, views, count, row, with, &memory,
                             seconds);
        taken[row] = !failed;
    }
    let_go(&memory);
}

/* Every view of these rows' pictures, rows x columns x RGB; -1 when there is no memory. */
int sightword_pixels(const uint8_t *const *pictures, const int64_t *sizes, int64_t first, int64_t last,
                     const View *views, int64_t count, int level) {
    const Instructions *with = choose(level);
    Scratch memory = {0};
    int failed = 0;
    for (int64_t row = first; row < last && !failed; row++) {
        int64_t rows = sizes[2 * row], columns = 3 * sizes[2 * row + 1], pitch = padded(rows);
        uint8_t *turned = scratch(&memory, TURNED, (size_t)(pitch * padded(columns) + 2 * LANES));
        failed = !turned;
        if (turned) turn_block(pictures[row], columns, rows, columns, turned, pitch);
        for (int64_t v = 0; v < count && !failed; v++)
            failed = with->view_of_bytes(turned, pitch, &views[v], row, place(&views[v], row), &memory);
    }
    let_go(&memory);
    return failed ? -1 : 0;
}
