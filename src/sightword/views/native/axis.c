/* Weights of an axis that is resampled by the antialiased triangle filter, as PIL and torch do it. */

#include "kernel.h"

#include <math.h>

/* JFIF's factors of Cr and Cb in red, blue, and (to be taken off) in green, beyond whole ones, in 2^-15. Here, out
   of sight of the loops that use them: compilers that know them miss the instruction for `SHARE`. */
const int16_t COLOUR_SHARES[4] = {13173, 25297, 23401, 11277}; /* 0.402, 0.772, 0.714136, 0.344136 */

static double triangle(double x) {
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

/* The inputs under the triangle of one output, and their weights, which sum to one. */
static void under_triangle(double start, double length, int64_t size, int64_t output, int64_t low, int64_t high,
                           int64_t *first, int64_t *count, double *weights) {
    double scale = length / (double)size, reach = scale >= 1 ? scale : 1, slope = scale >= 1 ? 1 / scale : 1;
    double centre = start + scale * ((double)output + 0.5), sum = 0;
    int64_t from = (int64_t)(centre - reach + 0.5), to = (int64_t)(centre + reach + 0.5);
    if (from < low) from = low;
    if (from > high - 1) from = high - 1;
    if (to > high) to = high;
    if (to <= from) to = from + 1;
    *first = from;
    *count = to - from;
    for (int64_t j = 0; j < *count; j++) sum += weights[j] = triangle(((double)(j + from) - centre + 0.5) * slope);
    for (int64_t j = 0; j < *count; j++) weights[j] = sum > 0 ? weights[j] / sum : 1.0 / (double)*count;
}

/* The same weights for samples of which each stands for two of the picture's rows or columns.

   libjpeg doubles them as 3/4 of the nearer and 1/4 of the other neighbour ("fancy"), narrow ones by repetition. */
static void on_halves(int64_t *first, int64_t *count, const double *weights, int64_t samples, int smooth,
                      double *out) {
    int64_t low = *first / 2 - 1, high = (*first + *count - 1) / 2 + 1;
    if (low < 0) low = 0;
    if (high > samples - 1) high = samples - 1;
    for (int64_t j = 0; j <= high - low; j++) out[j] = 0;
    for (int64_t j = 0; j < *count; j++) {
        int64_t at = *first + j, near = at / 2, other = at % 2 ? near + 1 : near - 1;
        if (near > high) near = high;
        if (other < low) other = low;
        if (other > high) other = high;
        out[near - low] += weights[j] * (smooth ? 0.75 : 1);
        out[other - low] += weights[j] * (smooth ? 0.25 : 0);
    }
    *first = low;
    *count = high - low + 1;
}

/* Whole numbers that sum to 2^15, each the difference of two rounded running sums; noughts at the ends go. */
static void quantise(const double *weights, int64_t first, int64_t count, int16_t *out, Taps *taps) {
    double sum = 0.5;
    int32_t before = 0;
    for (int64_t j = 0; j < count; j++) {
        sum += weights[j] * 32768;
        int32_t now = j + 1 == count ? 32768 : (int32_t)sum;
        out[j] = (int16_t)(now - before > 32767 ? 32767 : now - before);
        before = now;
    }
    while (count > 1 && out[count - 1] == 0) count--;
    while (count > 1 && *out == 0) out++, first++, count--;
    taps->first = first, taps->count = count, taps->weights = out;
}

static int64_t most_taps(double length, int64_t size) {
    double scale = length / (double)size;
    return 2 * (int64_t)ceil(scale > 1 ? scale : 1) + 3;
}

static int make_room(Axis *axis, Scratch *memory, int slot, int64_t size, int64_t most) {
    axis->taps = scratch(memory, TAPS + slot, (size_t)size * sizeof(Taps));
    axis->weights = scratch(memory, WEIGHTS + slot, (size_t)(size * most) * sizeof(int16_t));
    return axis->taps && axis->weights ? 0 : -1;
}

static void bound(Axis *axis, int64_t size) {
    axis->first = INT64_MAX, axis->last = 0;
    for (int64_t i = 0; i < size; i++) {
        const Taps *taps = &axis->taps[i];
        if (taps->first < axis->first) axis->first = taps->first;
        if (taps->first + taps->count > axis->last) axis->last = taps->first + taps->count;
    }
}

/* Weights from [start, start + length) of a picture of `inside` pixels to `size` outputs: of a plane that has them
   all, and of one that has `halves` samples for them, each for two. */
int plane_axes(Axis axes[2], Scratch *memory, int slot, double start, double length, int64_t size, int64_t inside,
               int64_t halves, int smooth, int flipped) {
    int64_t most = most_taps(length, size), first, count;
    double *real = scratch(memory, SUMS, (size_t)(2 * most) * sizeof(double));
    if (make_room(&axes[0], memory, slot, size, most) || make_room(&axes[1], memory, slot + 1, size, most) || !real)
        return -1;
    int64_t low = (int64_t)start, high = (int64_t)ceil(start + length);
    if (high > inside) high = inside;
    for (int64_t i = 0; i < size; i++) {
        int64_t to = flipped ? size - 1 - i : i;
        under_triangle(start, length, size, i, low, high, &first, &count, real);
        quantise(real, first, count, axes[0].weights + to * most, &axes[0].taps[to]);
        if (halves) {
            on_halves(&first, &count, real, halves, smooth, real + most);
            quantise(real + most, first, count, axes[1].weights + to * most, &axes[1].taps[to]);
        }
    }
    bound(&axes[0], size);
    if (halves) bound(&axes[1], size);
    return 0;
}

/* Weights from `length` bytes to `size` as torch has them for uint8: 16 bits, as precise as the largest allows. */
int byte_axis(Axis *axis, Scratch *memory, int slot, int64_t length, int64_t size, int flipped) {
    int64_t most = most_taps((double)length, size);
    double *real = scratch(memory, SUMS, (size_t)(size * most) * sizeof(double)), largest = 0;
    if (make_room(axis, memory, slot, size, most) || !real) return -1;
    for (int64_t i = 0; i < size; i++) {
        Taps *one = &axis->taps[flipped ? size - 1 - i : i];
        under_triangle(0, (double)length, size, i, 0, length, &one->first, &one->count, real + i * most);
        for (int64_t j = 0; j < one->count; j++) largest = fmax(largest, real[i * most + j]);
        one->weights = axis->weights + i * most;
    }
    for (axis->bits = 0; axis->bits < 22; axis->bits++)
        if ((int)(0.5 + largest * (1 << (axis->bits + 1))) >= 1 << 15) break;
    for (int64_t i = 0; i < size; i++)
        for (int64_t j = 0; j < axis->taps[flipped ? size - 1 - i : i].count; j++)
            axis->weights[i * most + j] = (int16_t)(real[i * most + j] * (1 << axis->bits) + 0.5);
    axis->first = 0, axis->last = length;
    return 0;
}
