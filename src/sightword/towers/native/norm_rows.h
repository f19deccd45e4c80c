/* The passes over a map's rows, for one kind of numbers: NUMBER, its conversions UP and DOWN, KEPT and NAME.

   Channels are worked on BLOCK at a time, so that sums stay in registers while rows go by. */

#define CHANNELS(width) for (int64_t l = 0; l < (width); l++)
#define APART _Pragma("GCC ivdep") /* no channel's answer is read for another's */

/* Of one slab and a block of channels: mean, and sum of squares around it. */
TARGET static inline void NAME(slab_moments)(const NUMBER *x, int64_t rows, int64_t channels, int64_t width,
                                             float *mean, float *squares) {
    float sum[BLOCK] = {0}, more[BLOCK] = {0};
    for (int64_t r = 0; r < rows; r++) CHANNELS(width) sum[l] += UP(x[r * channels + l]);
    CHANNELS(width) sum[l] /= (float)rows;
    for (int64_t r = 0; r < rows; r++)
        CHANNELS(width) {
            float away = UP(x[r * channels + l]) - sum[l];
            more[l] += away * away;
        }
    CHANNELS(width) mean[l] = sum[l];
    CHANNELS(width) squares[l] = more[l];
}

/* Sums of the gradient behind the activation, and of its product with what was normalised, less its mean.

   The activation let through what is not zero in its answer y, or where that was not kept, x * scale + shift above
   zero; without either there was none. */
TARGET static inline void NAME(slab_sums)(const NUMBER *gradient, const NUMBER *x, const NUMBER *y, int64_t rows,
                                          int64_t channels, int64_t width, const float *mean, const float *scale,
                                          const float *shift, float *plain, float *product) {
    float one[BLOCK] = {0}, two[BLOCK] = {0}, middle[BLOCK], times[BLOCK], plus[BLOCK];
    CHANNELS(width) middle[l] = mean[l];
    CHANNELS(width) times[l] = scale ? scale[l] : 0;
    CHANNELS(width) plus[l] = scale ? shift[l] : 1;
    for (int64_t r = 0; r < rows; r++) {
        const NUMBER *restrict g = gradient + r * channels, *restrict from = x + r * channels;
        if (y) {
            const NUMBER *restrict out = y + r * channels;
            CHANNELS(width) {
                float sent = KEPT(out[l], g[l]);
                one[l] += sent;
                two[l] += sent * (UP(from[l]) - middle[l]);
            }
        } else {
            CHANNELS(width) {
                float value = UP(from[l]) * times[l] + plus[l], sent = where_above(value, UP(g[l]));
                one[l] += sent;
                two[l] += sent * (UP(from[l]) - middle[l]);
            }
        }
    }
    CHANNELS(width) plain[l] = one[l];
    CHANNELS(width) product[l] = two[l];
}

TARGET static void NAME(moments)(const void *data, int64_t rows, int64_t channels, int64_t first, int64_t last,
                                 float *partial) {
    const NUMBER *x = data;
    for (int64_t slab = first; slab < last; slab++) {
        int64_t from = slab * SLAB, count = rows - from < SLAB ? rows - from : SLAB, c = 0;
        float *mean = partial + 2 * slab * channels, *squares = mean + channels;
        for (; c + BLOCK <= channels; c += BLOCK)
            NAME(slab_moments)(x + from * channels + c, count, channels, BLOCK, mean + c, squares + c);
        if (c < channels)
            NAME(slab_moments)(x + from * channels + c, count, channels, channels - c, mean + c, squares + c);
    }
}

TARGET static void NAME(sums)(const void *gradient, const void *data, const void *out, int64_t rows, int64_t channels,
                              int64_t first, int64_t last, const float *mean, const float *scale, const float *shift,
                              float *partial) {
    const NUMBER *g = gradient, *x = data, *y = out;
    for (int64_t slab = first; slab < last; slab++) {
        int64_t from = slab * SLAB, count = rows - from < SLAB ? rows - from : SLAB, c = 0;
        float *plain = partial + 2 * slab * channels, *product = plain + channels;
        for (; c < channels; c += BLOCK) {
            int64_t at = from * channels + c;
            const float *by = scale ? scale + c : 0, *up = scale ? shift + c : 0;
            if (c + BLOCK <= channels)
                NAME(slab_sums)(g + at, x + at, y ? y + at : 0, count, channels, BLOCK, mean + c, by, up, plain + c,
                                product + c);
            else
                NAME(slab_sums)(g + at, x + at, y ? y + at : 0, count, channels, channels - c, mean + c, by, up, plain + c,
                                product + c);
        }
    }
}

/* `apply` of a block of channels. */
TARGET static inline void NAME(block_apply)(const NUMBER *restrict x, const NUMBER *restrict more, int64_t rows,
                                            int64_t channels, int64_t width, const float *scale, const float *shift,
                                            float floor, NUMBER *restrict y) {
    float times[BLOCK], plus[BLOCK];
    CHANNELS(width) times[l] = scale[l];
    CHANNELS(width) plus[l] = shift[l];
    for (int64_t r = 0; r < rows; r++, x += channels, y += channels) {
        if (more) {
            CHANNELS(width) {
                float value = UP(x[l]) * times[l] + plus[l] + UP(more[l]);
                y[l] = DOWN(value < floor ? floor : value);
            }
            more += channels;
        } else
            CHANNELS(width) {
                float value = UP(x[l]) * times[l] + plus[l];
                y[l] = DOWN(value < floor ? floor : value);
            }
    }
}

/* `back` of a block of channels; without `more` dx may be g. */
TARGET static inline void NAME(block_back)(const NUMBER *g, const NUMBER *restrict x, const NUMBER *restrict y,
                                           int64_t rows, int64_t channels, int64_t width, const float *const *known,
                                           const float *scale, const float *shift, NUMBER *dx, NUMBER *restrict more) {
    float one[BLOCK], two[BLOCK], three[BLOCK], times[BLOCK], plus[BLOCK];
    CHANNELS(width) times[l] = scale ? scale[l] : 0;
    CHANNELS(width) plus[l] = scale ? shift[l] : 1;
    CHANNELS(width) one[l] = known[0][l];
    CHANNELS(width) two[l] = known[1][l];
    CHANNELS(width) three[l] = known[2][l];
    for (int64_t r = 0; r < rows; r++, g += channels, x += channels, dx += channels) {
        if (y) {
            APART CHANNELS(width) dx[l] = DOWN(KEPT(y[l], g[l]) * one[l] + (UP(x[l]) * two[l] + three[l]));
            if (more) {
                CHANNELS(width) more[l] = DOWN(KEPT(y[l], g[l]));
                more += channels;
            }
            y += channels;
        } else
            APART CHANNELS(width) {
                float value = UP(x[l]) * times[l] + plus[l], sent = where_above(value, UP(g[l]));
                dx[l] = DOWN(sent * one[l] + (UP(x[l]) * two[l] + three[l]));
            }
    }
}

/* y = x * scale + shift, plus `added` if there is any, not below zero if `rectified`. */
TARGET static void NAME(apply)(const void *data, const void *added, int64_t channels, int64_t first, int64_t last,
                               const float *scale, const float *shift, int rectified, void *out) {
    const NUMBER *x = data, *more = added;
    float floor = rectified ? 0.0f : -__builtin_inff();
    for (int64_t c = 0; c < channels; c += BLOCK) {
        int64_t at = first * channels + c;
        const NUMBER *other = more ? more + at : 0;
        NUMBER *y = (NUMBER *)out + at;
        if (c + BLOCK <= channels)
            NAME(block_apply)(x + at, other, last - first, channels, BLOCK, scale + c, shift + c, floor, y);
        else
            NAME(block_apply)(x + at, other, last - first, channels, channels - c, scale + c, shift + c, floor, y);
    }
}

/* to_x = gradient behind the activation * one + x * two + three; `to_added` is that gradient itself. */
TARGET static void NAME(back)(const void *gradient, const void *data, const void *out, int64_t channels, int64_t first,
                              int64_t last, const float *const *known, const float *scale, const float *shift,
                              void *to_x, void *to_added) {
    const NUMBER *g = gradient, *x = data, *y = out;
    NUMBER *dx = to_x, *more = to_added;
    for (int64_t c = 0; c < channels; c += BLOCK) {
        int64_t at = first * channels + c, left = channels - c;
        const float *own[3] = {known[0] + c, known[1] + c, known[2] + c};
        const float *by = scale ? scale + c : 0, *up = scale ? shift + c : 0;
        const NUMBER *answer = y ? y + at : 0;
        NUMBER *other = more ? more + at : 0;
        if (left >= BLOCK)
            NAME(block_back)(g + at, x + at, answer, last - first, channels, BLOCK, own, by, up, dx + at, other);
        else
            NAME(block_back)(g + at, x + at, answer, last - first, channels, left, own, by, up, dx + at, other);
    }
}

#undef CHANNELS
