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

INLINE int16_t NAME(plus)(int16_t a, int16_t b) {
    return (int16_t)((uint16_t)a + (uint16_t)b);
}

INLINE int16_t NAME(minus)(int16_t a, int16_t b) {
    return (int16_t)((uint16_t)a - (uint16_t)b);
}

INLINE uint8_t NAME(level)(int16_t v) {
    v = (int16_t)(NAME(plus)(v, 1 << (LEVEL_BITS - 1)) >> LEVEL_BITS);
    v = v < 0 ? 0 : v;
    return (uint8_t)(v > 255 ? 255 : v);
}

/* JFIF's colours. */
ROUNDS void NAME(colours)(const int16_t *restrict luma, const int16_t *restrict blue, const int16_t *restrict red,
                          uint8_t *restrict r, uint8_t *restrict g, uint8_t *restrict b, int64_t n) {
    int16_t w[4];
    for (int k = 0; k < 4; k++) w[k] = COLOUR_SHARES[k];
    for (int64_t i = 0; i < n; i++) {
        int16_t y = luma[i], cb = NAME(minus)(blue[i], 128 << LEVEL_BITS), cr = NAME(minus)(red[i], 128 << LEVEL_BITS);
        int16_t to_red = SHARE(cr, w[0]), to_blue = SHARE(cb, w[1]), red_off = SHARE(cr, w[2]);
        int16_t blue_off = SHARE(cb, w[3]);
        r[i] = NAME(level)(NAME(plus)(NAME(plus)(y, cr), to_red));
        g[i] = NAME(level)(NAME(minus)(NAME(minus)(y, red_off), blue_off));
        b[i] = NAME(level)(NAME(plus)(NAME(plus)(y, cb), to_blue));
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

/* ---- colours of a finished view: see colour.py, whose every step this repeats to the bit ----

   Steps pass over a tile, three rows of whole levels as float32 that stay in the first-level cache. */

INLINE float NAME(gray_of)(float r, float g, float b) {
    return truncf((((r * 19595.0f + g * 38470.0f) + b * 7471.0f) + 32768.0f) * (1.0f / 65536.0f));
}

INLINE float NAME(whole)(float v) {
    v = v < 0.0f ? 0.0f : v;
    return truncf(v > 255.0f ? 255.0f : v);
}

ROUNDS void NAME(brighten)(float *restrict x, float factor) {
    for (int i = 0; i < 3 * TILE; i++) x[i] = NAME(whole)(x[i] * factor);
}

ROUNDS void NAME(contrast)(float *restrict x, float mean, float factor) {
    for (int i = 0; i < 3 * TILE; i++) x[i] = NAME(whole)((x[i] - mean) * factor + mean);
}

ROUNDS void NAME(saturate)(float *restrict x, float factor) {
    for (int i = 0; i < TILE; i++) {
        float r = x[i], g = x[i + TILE], b = x[i + 2 * TILE], gray = NAME(gray_of)(r, g, b);
        x[i] = NAME(whole)((r - gray) * factor + gray);
        x[i + TILE] = NAME(whole)((g - gray) * factor + gray);
        x[i + 2 * TILE] = NAME(whole)((b - gray) * factor + gray);
    }
}

INLINE float NAME(shown)(float share, float value, float chroma) {
    share = share < 0.0f ? 0.0f : share;
    share = share > 1.0f ? 1.0f : share;
    return rintf(value + (share - 1.0f) * chroma);
}

/* By at most one whole turn: then 6 * floor(hue / 6) needs no division. */
ROUNDS void NAME(turn_hue)(float *restrict x, float turns) {
    float sixths = 6.0f * turns;
    for (int i = 0; i < TILE; i++) {
        float red = x[i], green = x[i + TILE], blue = x[i + 2 * TILE];
        float high = green > blue ? green : blue, low = green > blue ? blue : green;
        float second = green < blue ? 6.0f : 0.0f;
        float side = (red < high ? 2.0f * second - 2.0f : 0.0f) - second;
        float value = red > high ? red : high, middle = red > high ? high : red;
        float chroma = value - (middle < low ? middle : low);
        float hue = fabsf(side + (middle - low) / (chroma > 1e-6f ? chroma : 1e-6f)) + sixths;
        hue += hue < 0.0f ? 6.0f : 0.0f;
        hue -= hue >= 6.0f ? 6.0f : 0.0f;
        x[i] = NAME(shown)(fabsf(hue - 3.0f) - 1.0f, value, chroma);
        x[i + TILE] = NAME(shown)(2.0f - fabsf(hue - 2.0f), value, chroma);
        x[i + 2 * TILE] = NAME(shown)(2.0f - fabsf(hue - 4.0f), value, chroma);
    }
}

ROUNDS void NAME(to_gray)(float *restrict x) {
    for (int i = 0; i < TILE; i++)
        x[i] = x[i + TILE] = x[i + 2 * TILE] = NAME(gray_of)(x[i], x[i + TILE], x[i + 2 * TILE]);
}

ROUNDS int64_t NAME(sum_of_gray)(const float *restrict x, int64_t n) {
    int32_t sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (int32_t)NAME(gray_of)(x[i], x[i + TILE], x[i + 2 * TILE]);
    return sum;
}

INLINE void NAME(to_levels)(float *restrict out, const uint8_t *restrict in, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = (float)in[i];
}

INLINE void NAME(to_bytes)(uint8_t *restrict out, const float *restrict in, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = (uint8_t)(int32_t)in[i];
}

/* Some steps of a jitter over a whole view, tile by tile; `mean` is the contrast's. Returns the sum of all gray. */
ROUNDS int64_t NAME(pass)(uint8_t *out, int64_t n, const uint8_t *steps, int count, const float *amounts, float mean,
                          int gray) {
    float tile[3 * TILE] = {0};
    int64_t sum = 0;
    for (int64_t start = 0; start < n; start += TILE) {
        int64_t some = n - start < TILE ? n - start : TILE;
        for (int c = 0; c < 3; c++) NAME(to_levels)(tile + c * TILE, out + c * n + start, some);
        for (int i = 0; i < count; i++) {
            if (steps[i] == 0) NAME(brighten)(tile, amounts[0]);
            if (steps[i] == 1) NAME(contrast)(tile, mean, amounts[1]);
            if (steps[i] == 2) NAME(saturate)(tile, amounts[2]);
            if (steps[i] == 3) NAME(turn_hue)(tile, amounts[3]);
        }
        if (gray < 0) sum += NAME(sum_of_gray)(tile, some);
        if (gray > 0) NAME(to_gray)(tile);
        if (count > 0 || gray > 0)
            for (int c = 0; c < 3; c++) NAME(to_bytes)(out + c * n + start, tile + c * TILE, some);
    }
    return sum;
}

/* The jitter and the grayscale: one pass up to the contrast, which asks for the mean gray there, and one from it. */
ROUNDS void NAME(jitter)(uint8_t *out, int64_t n, const uint8_t *steps, const float *amounts, int gray) {
    int from = 0, before = 0;
    float mean = 0;
    while (before < 4 && steps[before] != 1) before++;
    if (before < 4) {
        int64_t sum = NAME(pass)(out, n, steps, before, amounts, 0, -1);
        mean = (float)(int64_t)((double)sum / (double)n + 0.5);
        from = before;
    }
    if (steps[0] < 4 || gray) NAME(pass)(out, n, steps + from, 4 - from, amounts, mean, gray);
}

ROUNDS void NAME(solarize)(uint8_t *restrict x, int64_t n) {
    for (int64_t i = 0; i < 3 * n; i++) x[i] = x[i] < 128 ? x[i] : (uint8_t)(255 - x[i]);
}

/* ---- blur: see blur.py ---- */

/* out = a symmetric sum of inputs `step` apart. */
INLINE void NAME(fold)(float *restrict out, const float *restrict in, int64_t step, const float *restrict kernel,
                       const int reach, int64_t n) {
    float w[9];
    for (int k = 0; k <= reach; k++) w[k] = kernel[k];
    for (int64_t i = 0; i < n; i++) {
        float sum = in[i] * w[0];
        for (int k = 1; k <= reach; k++) sum += (in[i - k * step] + in[i + k * step]) * w[k];
        out[i] = sum;
    }
}

ROUNDS void NAME(slide)(float *restrict out, const float *restrict in, int64_t step, const float *restrict kernel,
                        int64_t reach, int64_t n) {
    switch (reach) {
    case 1: NAME(fold)(out, in, step, kernel, 1, n); return;
    case 2: NAME(fold)(out, in, step, kernel, 2, n); return;
    case 3: NAME(fold)(out, in, step, kernel, 3, n); return;
    case 4: NAME(fold)(out, in, step, kernel, 4, n); return;
    case 5: NAME(fold)(out, in, step, kernel, 5, n); return;
    case 6: NAME(fold)(out, in, step, kernel, 6, n); return;
    }
    for (int64_t i = 0; i < n; i++) out[i] = in[i] * kernel[0];
    for (int64_t k = 1; k <= reach; k++)
        for (int64_t i = 0; i < n; i++) out[i] += (in[i - k * step] + in[i + k * step]) * kernel[k];
}

/* Down, then across. `levels` has room for a plane with `reach` rows more above and below, and for two lines. */
ROUNDS void NAME(blur)(uint8_t *plane, int64_t size, const float *kernel, int64_t reach, float *levels) {
    int64_t pitch = padded(size), last = reach + size - 1;
    float *line = levels + (size + 2 * reach) * pitch + reach, *sums = line + padded(size + reach);
    for (int64_t y = 0; y < size; y++) NAME(to_levels)(levels + (reach + y) * pitch, plane + y * size, size);
    for (int64_t k = 0; k < reach; k++) {
        memcpy(levels + k * pitch, levels + reach * pitch, (size_t)size * sizeof(float));
        memcpy(levels + (last + 1 + k) * pitch, levels + last * pitch, (size_t)size * sizeof(float));
    }
    for (int64_t y = 0; y < size; y++) {
        NAME(slide)(line, levels + (reach + y) * pitch, pitch, kernel, reach, size);
        for (int64_t k = 1; k <= reach; k++) line[-k] = line[0], line[size - 1 + k] = line[size - 1];
        NAME(slide)(sums, line, 1, kernel, reach, size);
        for (int64_t x = 0; x < size; x++) sums[x] = rintf(sums[x]);
        NAME(to_bytes)(plane + y * size, sums, size);
    }
}

/* ---- whole views ---- */

/* Jitter, grayscale, blur and solarisation of one finished crop, in place. */
ROUNDS int NAME(recolour)(const View *view, int64_t row, uint8_t *out, Scratch *memory) {
    int64_t size = view->size, n = size * size, reach = view->spans[row];
    NAME(jitter)(out, n, view->steps + 4 * row, view->amounts + 4 * row, view->gray[row]);
    if (reach > 0) {
        size_t room = (size_t)((size + 2 * reach + 2) * padded(size + 2 * reach));
        float *levels = scratch(memory, LEVELS, room * sizeof(float));
        if (!levels) return -1;
        for (int c = 0; c < 3; c++) NAME(blur)(out + c * n, size, view->blur + row * view->taps, reach, levels);
    }
    if (view->solarized[row]) NAME(solarize)(out, n);
    return 0;
}

/* A plane's part under the crop, at the view's width: a line for each of the plane's rows from down->first on. */
ROUNDS int NAME(lay)(const Plane *plane, const Axis *wide, const Axis *down, int64_t size, Scratch *memory, int purpose,
                     int16_t **lines) {
    int64_t rows = down->last - down->first;
    *lines = scratch(memory, purpose, (size_t)((rows + 8) * padded(size)) * sizeof(int16_t));
    if (!*lines) return -1;
    return NAME(across)(plane, wide, down->first, down->last, size, memory, *lines, padded(size));
}

/* One view of a decoded JPEG. */
ROUNDS int NAME(view_of_planes)(const Picture *picture, const View *view, int64_t row, uint8_t *out, Scratch *memory) {
    int64_t size = view->size, pitch = padded(size), n = size * size;
    const int64_t *box = view->boxes + 4 * row;
    const Plane *planes = picture->planes, *second = &planes[picture->colours - 1];
    double scale = picture->scale;
    int64_t columns = second->wide == 2 ? second->columns : 0, rows = second->tall == 2 ? second->rows : 0;
    Axis wide[2], down[2];
    if (plane_axes(wide, memory, 0, (double)box[1] * scale, (double)box[3] * scale, size, picture->columns, columns,
                   second->smooth, view->flipped[row]) ||
        plane_axes(down, memory, 2, (double)box[0] * scale, (double)box[2] * scale, size, picture->rows, rows,
                   second->smooth, 0))
        return -1;
    int16_t *lines[3], *sums = scratch(memory, LINES, (size_t)(3 * pitch) * sizeof(int16_t));
    if (!sums) return -1;
    for (int c = 0; c < picture->colours; c++)
        if (NAME(lay)(&planes[c], &wide[planes[c].wide - 1], &down[planes[c].tall - 1], size, memory, DOWN_Y + c,
                      &lines[c]))
            return -1;
    for (int64_t i = pitch; i < 3 * pitch; i++) sums[i] = 128 << LEVEL_BITS; /* gray has no other colours */
    for (int64_t y = 0; y < size; y++) {
        for (int c = 0; c < picture->colours; c++) {
            const Axis *axis = &down[planes[c].tall - 1];
            const Taps *taps = &axis->taps[y];
            NAME(sum_words)(sums + c * pitch, lines[c] + (taps->first - axis->first) * pitch, pitch, taps, size);
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
