/* The passes of norm_rows.h for bfloat16 in hand-written AVX-512: the same operations in the same order.

   32 numbers lie in a register; as float32 they become the even and the odd ones, by a shift and by a mask. */

#define EACH for (int k = 0; k < 2; k++)

typedef struct {
    __m512 even, odd;
} Wide;

/* 32 channels' float32 numbers. */
TARGET static inline Wide channels_of(const float *from) {
    __m512i even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    __m512 low = _mm512_loadu_ps(from), high = _mm512_loadu_ps(from + 16);
    return (Wide){_mm512_permutex2var_ps(low, even, high),
                  _mm512_permutex2var_ps(low, _mm512_add_epi32(even, _mm512_set1_epi32(1)), high)};
}

TARGET static inline void put_channels(Wide value, float *to) {
    __m512i low = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    _mm512_storeu_ps(to, _mm512_permutex2var_ps(value.even, low, value.odd));
    _mm512_storeu_ps(to + 16, _mm512_permutex2var_ps(value.even, _mm512_add_epi32(low, _mm512_set1_epi32(8)), value.odd));
}

TARGET static inline Wide widened(__m512i numbers) {
    __m512i upper = _mm512_set1_epi32((int)0xffff0000u);
    return (Wide){_mm512_castsi512_ps(_mm512_slli_epi32(numbers, 16)), _mm512_castsi512_ps(_mm512_and_si512(numbers, upper))};
}

TARGET static inline __m512i narrowed(Wide value) {
    __m512i turns = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4,
                                     19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(turns, (__m512i)_mm512_cvtne2ps_pbh(value.odd, value.even));
}

TARGET static inline Wide plus(Wide a, Wide b) {
    return (Wide){_mm512_add_ps(a.even, b.even), _mm512_add_ps(a.odd, b.odd)};
}

TARGET static inline Wide minus(Wide a, Wide b) {
    return (Wide){_mm512_sub_ps(a.even, b.even), _mm512_sub_ps(a.odd, b.odd)};
}

TARGET static inline Wide times(Wide a, Wide b) {
    return (Wide){_mm512_mul_ps(a.even, b.even), _mm512_mul_ps(a.odd, b.odd)};
}

/* The gradient behind a ReLU whose answer was `out`; all of it where there is none. */
TARGET static inline __m512i kept(const uint16_t *out, const uint16_t *gradient) {
    __m512i sent = _mm512_loadu_si512(gradient);
    if (!out) return sent;
    return _mm512_maskz_mov_epi16(_mm512_test_epi16_mask(_mm512_loadu_si512(out), _mm512_set1_epi16(0x7fff)), sent);
}

/* That gradient where the answer was not kept: it was x * scale + shift, if that is above zero. */
TARGET static inline Wide kept_by(Wide scale, Wide shift, Wide x, Wide sent) {
    Wide value = plus(times(x, scale), shift);
    __m512 none = _mm512_setzero_ps();
    return (Wide){_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(value.even, none, _CMP_GT_OQ), sent.even),
                  _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(value.odd, none, _CMP_GT_OQ), sent.odd)};
}

/* Of at most SLAB rows and 64 channels. */
TARGET static inline void moments_of(const uint16_t *x, int64_t rows, int64_t channels, float *mean, float *squares) {
    Wide none = {_mm512_setzero_ps(), _mm512_setzero_ps()}, sum[2] = {none, none}, more[2] = {none, none};
    __m512 count = _mm512_set1_ps((float)rows);
    for (int64_t r = 0; r < rows; r++)
        EACH sum[k] = plus(sum[k], widened(_mm512_loadu_si512(x + r * channels + 32 * k)));
    EACH sum[k] = (Wide){_mm512_div_ps(sum[k].even, count), _mm512_div_ps(sum[k].odd, count)};
    for (int64_t r = 0; r < rows; r++)
        EACH {
            Wide away = minus(widened(_mm512_loadu_si512(x + r * channels + 32 * k)), sum[k]);
            more[k] = plus(more[k], times(away, away));
        }
    EACH put_channels(sum[k], mean + 32 * k);
    EACH put_channels(more[k], squares + 32 * k);
}

TARGET static inline void sums_of(const uint16_t *g, const uint16_t *x, const uint16_t *y, int64_t rows, int64_t channels,
                                  const float *mean, const float *scale, const float *shift, float *plain,
                                  float *product) {
    Wide by[2], up[2], none = {_mm512_setzero_ps(), _mm512_setzero_ps()}, one[2] = {none, none}, two[2] = {none, none};
    Wide middle[2] = {channels_of(mean), channels_of(mean + 32)};
    EACH by[k] = scale ? channels_of(scale + 32 * k) : none;
    EACH up[k] = scale ? channels_of(shift + 32 * k) : none;
    for (int64_t r = 0; r < rows; r++)
        EACH {
            int64_t at = r * channels + 32 * k;
            Wide sent = widened(kept(y ? y + at : 0, g + at)), from = widened(_mm512_loadu_si512(x + at));
            if (scale) sent = kept_by(by[k], up[k], from, sent);
            one[k] = plus(one[k], sent);
            two[k] = plus(two[k], times(sent, minus(from, middle[k])));
        }
    EACH put_channels(one[k], plain + 32 * k);
    EACH put_channels(two[k], product + 32 * k);
}

TARGET static inline void apply_to(const uint16_t *x, const uint16_t *more, int64_t rows, int64_t channels,
                                   const float *scale, const float *shift, float floor, uint16_t *y) {
    Wide by[2] = {channels_of(scale), channels_of(scale + 32)}, up[2] = {channels_of(shift), channels_of(shift + 32)};
    __m512 least = _mm512_set1_ps(floor);
    for (int64_t r = 0; r < rows; r++)
        EACH {
            int64_t at = r * channels + 32 * k;
            Wide value = plus(times(widened(_mm512_loadu_si512(x + at)), by[k]), up[k]);
            if (more) value = plus(value, widened(_mm512_loadu_si512(more + at)));
            value = (Wide){_mm512_max_ps(least, value.even), _mm512_max_ps(least, value.odd)};
            _mm512_storeu_si512(y + at, narrowed(value));
        }
}

TARGET static inline void back_of(const uint16_t *g, const uint16_t *x, const uint16_t *y, int64_t rows, int64_t channels,
                                  const float *const *known, const float *scale, const float *shift, uint16_t *dx,
                                  uint16_t *more) {
    const float *one = known[0], *two = known[1], *three = known[2];
    Wide none = {_mm512_setzero_ps(), _mm512_setzero_ps()}, by[2], up[2];
    Wide a[2] = {channels_of(one), channels_of(one + 32)}, b[2] = {channels_of(two), channels_of(two + 32)};
    Wide c[2] = {channels_of(three), channels_of(three + 32)};
    EACH by[k] = scale ? channels_of(scale + 32 * k) : none;
    EACH up[k] = scale ? channels_of(shift + 32 * k) : none;
    for (int64_t r = 0; r < rows; r++)
        EACH {
            int64_t at = r * channels + 32 * k;
            __m512i sent = kept(y ? y + at : 0, g + at);
            Wide from = widened(_mm512_loadu_si512(x + at)), wide = widened(sent);
            if (scale) wide = kept_by(by[k], up[k], from, wide);
            _mm512_storeu_si512(dx + at, narrowed(plus(times(wide, a[k]), plus(times(from, b[k]), c[k]))));
            if (more) _mm512_storeu_si512(more + at, sent);
        }
}

TARGET static void moments_bf16_hand(const void *data, int64_t rows, int64_t channels, int64_t first, int64_t last,
                                    float *partial) {
    if (channels % BLOCK) return moments_bf16_avx512(data, rows, channels, first, last, partial);
    for (int64_t slab = last - 1; slab >= first; slab--) {
        int64_t from = slab * SLAB, count = rows - from < SLAB ? rows - from : SLAB;
        float *mean = partial + 2 * slab * channels;
        for (int64_t c = 0; c < channels; c += BLOCK)
            moments_of((const uint16_t *)data + from * channels + c, count, channels, mean + c, mean + channels + c);
    }
}

TARGET static void sums_bf16_hand(const void *gradient, const void *data, const void *out, int64_t rows, int64_t channels,
                                 int64_t first, int64_t last, const float *mean, const float *scale, const float *shift,
                                 float *partial) {
    if (channels % BLOCK)
        return sums_bf16_avx512(gradient, data, out, rows, channels, first, last, mean, scale, shift, partial);
    const uint16_t *g = gradient, *x = data, *y = out;
    for (int64_t slab = first; slab < last; slab++) {
        int64_t from = slab * SLAB, count = rows - from < SLAB ? rows - from : SLAB;
        float *plain = partial + 2 * slab * channels;
        for (int64_t c = 0; c < channels; c += BLOCK) {
            int64_t at = from * channels + c;
            sums_of(g + at, x + at, y ? y + at : 0, count, channels, mean + c, scale ? scale + c : 0, shift + c, plain + c,
                    plain + channels + c);
        }
    }
}

TARGET static void apply_bf16_hand(const void *data, const void *added, int64_t channels, int64_t first, int64_t last,
                                  const float *scale, const float *shift, int rectified, void *out) {
    if (channels % BLOCK) return apply_bf16_avx512(data, added, channels, first, last, scale, shift, rectified, out);
    const uint16_t *x = data, *more = added;
    float floor = rectified ? 0.0f : -__builtin_inff();
    for (int64_t from = first; from < last; from += SLAB)
        for (int64_t c = 0; c < channels; c += BLOCK) {
            int64_t at = from * channels + c, count = last - from < SLAB ? last - from : SLAB;
            apply_to(x + at, more ? more + at : 0, count, channels, scale + c, shift + c, floor, (uint16_t *)out + at);
        }
}

TARGET static void back_bf16_hand(const void *gradient, const void *data, const void *out, int64_t channels, int64_t first,
                                 int64_t last, const float *const *known, const float *scale, const float *shift,
                                 void *to_x, void *to_added) {
    if (channels % BLOCK)
        return back_bf16_avx512(gradient, data, out, channels, first, last, known, scale, shift, to_x, to_added);
    const uint16_t *g = gradient, *x = data, *y = out;
    uint16_t *dx = to_x, *more = to_added;
    for (int64_t from = first + (last - first - 1) / SLAB * SLAB; from >= first; from -= SLAB)
        for (int64_t c = 0; c < channels; c += BLOCK) {
            int64_t at = from * channels + c, count = last - from < SLAB ? last - from : SLAB;
            const float *own[3] = {known[0] + c, known[1] + c, known[2] + c};
            back_of(g + at, x + at, y ? y + at : 0, count, channels, own, scale ? scale + c : 0, shift + c, dx + at,
                    more ? more + at : 0);
        }
}

#undef EACH
