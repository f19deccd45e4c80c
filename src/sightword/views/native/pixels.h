/* The loops over pixels. kernel.c includes this file once for each set of instructions that it compiles for,
   with TARGET (the functions' attribute) and NAME (their names' ending) defined.

   Plain loops over arrays that do not overlap, which compilers turn into vector code by themselves. Whole-number
   arithmetic, or float32 in a fixed order without fused steps: every set gives the same pixels. */

#define INLINE TARGET static inline __attribute__((always_inline))
#define ROUNDS TARGET static

/* ---- resampling planes: 16-bit words in 64ths of a level, weights in 2^-15 ---- */

/* v * w / 2^15, rounded, in the form that compilers know as one instruction. */
#define SHARE(v, w) (int16_t)((((int32_t)(v) * (int32_t)(w) >> 14) + 1) >> 1)

INLINE void NAME(add_words)(int16_t *restrict out, const int16_t *restrict in, int64_t step,
                            const int16_t *restrict weights, const int count, const int more, int64_t n) {
    int16_t w[4];
    for (int k = 0; k < count; k++) w[k] = weights[k];
    n = padded(n);
    for (int64_t i = 0; i < n; i++) {
        uint16_t sum = more ? (uint16_t)out[i] : 0;
        for (int k = 0; k < count; k++) {
            int16_t part = SHARE(in[k * step + i], w[k]);
            sum = (uint16_t)(sum + (uint16_t)part);
        }
        out[i] = (int16_t)sum;
    }
}

/* The weighted sum of rows `step` apart. */
ROUNDS void NAME(sum_words)(int16_t *out, const int16_t *in, int64_t step, const Taps *taps, int64_t n) {
    const int16_t *w = taps->weights;
    int64_t left = taps->count;
    switch (left) {
    case 1: NAME(add_words)(out, in, step, w, 1, 0, n); return;
    case 2: NAME(add_words)(out, in, step, w, 2, 0, n); return;
    case 3: NAME(add_words)(out, in, step, w, 3, 0, n); return;
    }
    NAME(add_words)(out, in, step, w, 4, 0, n);
    for (left -= 4, w += 4, in += 4 * step; left >= 4; left -= 4, w += 4, in += 4 * step)
        NAME(add_words)(out, in, step, w, 4, 1, n);
    for (; left > 0; left--, w++, in += step) NAME(add_words)(out, in, step, w, 1, 1, n);
}

/* A plane's columns to the view's, for the plane's rows [top, bottom): out has one line of `pitch` a row. */
ROUNDS int NAME(across)(const Plane *plane, const Axis *axis, int64_t top, int64_t bottom, int64_t size, Scratch *memory,
                        int16_t *out, int64_t pitch) {
    int64_t rows = bottom - top, room = padded(rows);
    int16_t *columns = scratch(memory, ACROSS, (size_t)(8 * room) * sizeof(int16_t));
    if (!columns) return -1;
    for (int64_t x = 0; x < size; x += 8) {
        for (int64_t i = 0; i < 8 && x + i < size; i++) {
            const Taps *taps = &axis->taps[x + i];
            const int16_t *in = plane->samples + taps->first * plane->pitch + top;
            NAME(sum_words)(columns + i * room, in, plane->pitch, taps, rows);
        }
        for (int64_t y = 0; y < rows; y += 8) turn_words(columns + y, room, out + y * pitch + x, pitch);
    }
    return 0;
}

INLINE uint8_t NAME(level)(int v) {
    v = (v + (1 << (LEVEL_BITS - 1))) >> LEVEL_BITS;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* JFIF's colours, factors beyond a whole one in 2^-15. */
ROUNDS void NAME(colours)(const int16_t *restrict luma, const int16_t *restrict blue, const int16_t *restrict red,
                          uint8_t *restrict r, uint8_t *restrict g, uint8_t *restrict b, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        int16_t y = luma[i], cb = (int16_t)(blue[i] - (128 << LEVEL_BITS));
        int16_t cr = (int16_t)(red[i] - (128 << LEVEL_BITS));
        int16_t to_red = SHARE(cr, 13173), to_blue = SHARE(cb, 25297); /* 0.402, 0.772 */
        int16_t from_blue = SHARE(cb, 11277), from_red = SHARE(cr, 23401); /* 0.344136, 0.714136 */
        r[i] = NAME(level)((int16_t)(y + cr + to_red));
        g[i] = NAME(level)((int16_t)(y - from_blue - from_red));
        b[i] = NAME(level)((int16_t)(y + cb + to_blue));
    }
}

/* ---- resampling bytes: torch's arithmetic, whole levels between the two directions ---- */

INLINE void NAME(add_bytes)(int32_t *restrict sum, const uint8_t *restrict in, int32_t weight, int64_t n) {
    n = padded(n);
    for (int64_t i = 0; i < n; i++) sum[i] += weight * in[i];
}

ROUNDS void NAME(sum_bytes)(uint8_t *restrict out, int32_t *restrict sum, const uint8_t *in, int64_t step,
                            const Taps *taps, int bits, int64_t n) {
    for (int64_t i = 0; i < padded(n); i++) sum[i] = 1 << (bits - 1);
    for (int64_t k = 0; k < taps->count; k++) NAME(add_bytes)(sum, in + k * step, taps->weights[k], n);
    for (int64_t i = 0; i < n; i++) {
        int32_t v = sum[i] >> bits;
        out[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
}

/* ---- colours of a finished view: see colour.py, whose every step this repeats to the bit ---- */

INLINE float NAME(gray_of)(float r, float g, float b) {
    return (float)(int)((((r * 19595.0f + g * 38470.0f) + b * 7471.0f) + 32768.0f) * (1.0f / 65536.0f));
}

INLINE uint8_t NAME(whole)(float v) {
    v = v < 0.0f ? 0.0f : v;
    v = v > 255.0f ? 255.0f : v;
    return (uint8_t)(int)v;
}

ROUNDS void NAME(brighten)(uint8_t *restrict x, int64_t n, float factor) {
    for (int64_t i = 0; i < 3 * n; i++) x[i] = NAME(whole)((float)x[i] * factor);
}

ROUNDS void NAME(contrast)(uint8_t *restrict x, int64_t n, float factor) {
    const uint8_t *r = x, *g = x + n, *b = x + 2 * n;
    int64_t sum = 0;
    for (int64_t start = 0; start < n; start += 65536) { /* short enough for 32 bits */
        int64_t stop = start + 65536 < n ? start + 65536 : n;
        int32_t part = 0;
        for (int64_t i = start; i < stop; i++) part += (int)NAME(gray_of)(r[i], g[i], b[i]);
        sum += part;
    }
    float mean = (float)(int64_t)((double)sum / (double)n + 0.5);
    for (int64_t i = 0; i < 3 * n; i++) x[i] = NAME(whole)(((float)x[i] - mean) * factor + mean);
}

ROUNDS void NAME(saturate)(uint8_t *restrict r, uint8_t *restrict g, uint8_t *restrict b, int64_t n, float factor) {
    for (int64_t i = 0; i < n; i++) {
        float gray = NAME(gray_of)(r[i], g[i], b[i]);
        r[i] = NAME(whole)(((float)r[i] - gray) * factor + gray);
        g[i] = NAME(whole)(((float)g[i] - gray) * factor + gray);
        b[i] = NAME(whole)(((float)b[i] - gray) * factor + gray);
    }
}

INLINE uint8_t NAME(shown)(float share, float value, float chroma) {
    share = share < 0.0f ? 0.0f : share;
    share = share > 1.0f ? 1.0f : share;
    return (uint8_t)(int)rintf(value + (share - 1.0f) * chroma);
}

ROUNDS void NAME(turn_hue)(uint8_t *restrict r, uint8_t *restrict g, uint8_t *restrict b, int64_t n, float turns) {
    float sixths = 6.0f * turns;
    for (int64_t i = 0; i < n; i++) {
        float red = r[i], green = g[i], blue = b[i];
        float high = green > blue ? green : blue, low = green > blue ? blue : green;
        float side = green < blue ? -6.0f : 0.0f;
        side -= red < high ? 2.0f + 2.0f * side : 0.0f;
        float value = red > high ? red : high, middle = red > high ? high : red;
        float chroma = value - (middle < low ? middle : low);
        float hue = fabsf(side + (middle - low) / (chroma > 1e-6f ? chroma : 1e-6f)) + sixths;
        hue -= 6.0f * floorf(hue / 6.0f);
        r[i] = NAME(shown)(fabsf(hue - 3.0f) - 1.0f, value, chroma);
        g[i] = NAME(shown)(2.0f - fabsf(hue - 2.0f), value, chroma);
        b[i] = NAME(shown)(2.0f - fabsf(hue - 4.0f), value, chroma);
    }
}

ROUNDS void NAME(grayscale)(uint8_t *restrict r, uint8_t *restrict g, uint8_t *restrict b, int64_t n) {
    for (int64_t i = 0; i < n; i++) r[i] = g[i] = b[i] = (uint8_t)(int)NAME(gray_of)(r[i], g[i], b[i]);
}

ROUNDS void NAME(solarize)(uint8_t *restrict x, int64_t n) {
    for (int64_t i = 0; i < 3 * n; i++) x[i] = x[i] < 128 ? x[i] : (uint8_t)(255 - x[i]);
}

/* ---- blur: see blur.py ---- */

INLINE void NAME(pair_bytes)(float *restrict out, const uint8_t *restrict a, const uint8_t *restrict b, float weight,
                             int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] += (float)(a[i] + b[i]) * weight;
}

/* Down, then across, a row at a time; `copy` has room for a plane and `line` for a row and its borders. */
ROUNDS void NAME(blur)(uint8_t *plane, int64_t size, const float *kernel, int64_t reach, uint8_t *copy, float *line) {
    memcpy(copy, plane, (size_t)(size * size));
    float *middle = line + reach, *sums = line + padded(size + 2 * reach);
    for (int64_t y = 0; y < size; y++) {
        const uint8_t *row = copy + y * size;
        for (int64_t x = 0; x < size; x++) middle[x] = (float)row[x] * kernel[0];
        for (int64_t k = 1; k <= reach; k++) {
            int64_t above = y - k < 0 ? 0 : y - k, below = y + k < size ? y + k : size - 1;
            NAME(pair_bytes)(middle, copy + above * size, copy + below * size, kernel[k], size);
        }
        for (int64_t k = 1; k <= reach; k++) middle[-k] = middle[0], middle[size - 1 + k] = middle[size - 1];
        for (int64_t x = 0; x < size; x++) sums[x] = middle[x] * kernel[0];
        for (int64_t k = 1; k <= reach; k++)
            for (int64_t x = 0; x < size; x++) sums[x] += (middle[x - k] + middle[x + k]) * kernel[k];
        for (int64_t x = 0; x < size; x++) plane[y * size + x] = (uint8_t)(int)rintf(sums[x]);
    }
}

/* ---- whole views ---- */

/* Jitter, grayscale, blur and solarisation of one finished crop, in place. */
ROUNDS int NAME(recolour)(const View *view, int64_t row, uint8_t *out, Scratch *memory) {
    int64_t size = view->size, n = size * size;
    uint8_t *r = out, *g = out + n, *b = out + 2 * n;
    for (int i = 0; i < 4; i++) {
        int step = view->steps[4 * row + i];
        float amount = step < 4 ? view->amounts[4 * row + step] : 0;
        if (step == 0) NAME(brighten)(out, n, amount);
        if (step == 1) NAME(contrast)(out, n, amount);
        if (step == 2) NAME(saturate)(r, g, b, n, amount);
        if (step == 3) NAME(turn_hue)(r, g, b, n, amount);
    }
    if (view->gray[row]) NAME(grayscale)(r, g, b, n);
    int64_t reach = view->spans[row];
    if (reach > 0) {
        float *lines = scratch(memory, LINES, (size_t)(2 * padded(size + 2 * reach)) * sizeof(float));
        uint8_t *copy = scratch(memory, COPY, (size_t)n);
        if (!lines || !copy) return -1;
        for (int c = 0; c < 3; c++) NAME(blur)(out + c * n, size, view->blur + row * view->taps, reach, copy, lines);
    }
    if (view->solarized[row]) NAME(solarize)(out, n);
    return 0;
}

/* A plane's part under the crop, at the view's width: one line for each of the plane's rows that are needed. */
ROUNDS int NAME(lay)(const Picture *picture, int colour, const View *view, int64_t row, Scratch *memory, Axis *down,
                     int16_t **lines) {
    const Plane *plane = &picture->planes[colour];
    const int64_t *box = view->boxes + 4 * row;
    double scale = picture->scale;
    int64_t size = view->size;
    Axis wide;
    if (plane_axis(&wide, memory, 2 * colour, (double)box[1] * scale, (double)box[3] * scale, size, picture->columns,
                   plane->columns, plane->wide, plane->smooth, view->flipped[row]))
        return -1;
    if (plane_axis(down, memory, 2 * colour + 1, (double)box[0] * scale, (double)box[2] * scale, size, picture->rows,
                   plane->rows, plane->tall, plane->smooth, 0))
        return -1;
    int64_t rows = down->last - down->first;
    *lines = scratch(memory, DOWN_Y + colour, (size_t)((rows + 8) * padded(size + LANES)) * sizeof(int16_t));
    if (!*lines) return -1;
    return NAME(across)(plane, &wide, down->first, down->last, size, memory, *lines, padded(size));
}

/* One view of a decoded JPEG. */
ROUNDS int NAME(view_of_planes)(const Picture *picture, const View *view, int64_t row, uint8_t *out, Scratch *memory) {
    int64_t size = view->size, pitch = padded(size), n = size * size;
    Axis down[3];
    int16_t *lines[3], *sums = scratch(memory, LINES, (size_t)(3 * pitch) * sizeof(int16_t));
    for (int c = 0; c < picture->colours; c++)
        if (NAME(lay)(picture, c, view, row, memory, &down[c], &lines[c])) return -1;
    if (!sums) return -1;
    for (int64_t i = picture->colours == 1 ? pitch : 3 * pitch; i < 3 * pitch; i++) sums[i] = 128 << LEVEL_BITS;
    for (int64_t y = 0; y < size; y++) {
        for (int c = 0; c < picture->colours; c++) {
            const Taps *taps = &down[c].taps[y];
            NAME(sum_words)(sums + c * pitch, lines[c] + (taps->first - down[c].first) * pitch, pitch, taps, size);
        }
        uint8_t *line = out + y * size;
        NAME(colours)(sums, sums + pitch, sums + 2 * pitch, line, line + n, line + 2 * n, size);
    }
    return NAME(recolour)(view, row, out, memory);
}

/* One view of a picture in memory, rows x columns x RGB, which stands `turned`: all its columns, then its rows. */
ROUNDS int NAME(view_of_bytes)(const uint8_t *turned, int64_t pitch, const View *view, int64_t row, uint8_t *out,
                               Scratch *memory) {
    const int64_t *box = view->boxes + 4 * row;
    int64_t size = view->size, rows = box[2], room = padded(rows), wide = padded(size);
    Axis across, down;
    if (byte_axis(&across, memory, 0, box[3], size, view->flipped[row])) return -1;
    if (byte_axis(&down, memory, 1, rows, size, 0)) return -1;
    uint8_t *columns = scratch(memory, ACROSS, (size_t)(16 * room));
    uint8_t *lines = scratch(memory, DOWN_Y, (size_t)((room + 16) * wide));
    int32_t *sums = scratch(memory, LINES, (size_t)(room > wide ? room : wide) * sizeof(int32_t));
    if (!columns || !lines || !sums) return -1;
    for (int c = 0; c < 3; c++) {
        for (int64_t x = 0; x < size; x += 16) {
            int64_t some = size - x < 16 ? size - x : 16;
            for (int64_t i = 0; i < some; i++) {
                const Taps *taps = &across.taps[x + i];
                const uint8_t *in = turned + ((box[1] + taps->first) * 3 + c) * pitch + box[0];
                NAME(sum_bytes)(columns + i * room, sums, in, 3 * pitch, taps, across.bits, rows);
            }
            turn_block(columns, room, some, rows, lines + x, wide);
        }
        for (int64_t y = 0; y < size; y++) {
            const Taps *taps = &down.taps[y];
            NAME(sum_bytes)(out + (c * size + y) * size, sums, lines + taps->first * wide, wide, taps, down.bits, size);
        }
    }
    return NAME(recolour)(view, row, out, memory);
}

#undef SHARE
#undef INLINE
#undef ROUNDS
