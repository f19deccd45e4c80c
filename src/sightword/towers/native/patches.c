/* Pictures as rows of patches, normalised, so that a convolution of theirs is a product. */

#include <stdlib.h>
#include <string.h>

#include "convolution.h"

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && __GNUC__ >= 11

#include "tiles.h"

enum { AT_ONCE = 16 }; /* pictures, whose rows are written one after the other */

/* What each byte of a channel becomes: its product with `scale` less `shift`, rounded. */
TARGET static void tabulate(float scale, float shift, uint16_t *table) {
    float found[WIDE];
    for (int byte = 0; byte < 256; byte += WIDE) {
        for (int i = 0; i < WIDE; i++) found[i] = (float)(byte + i) * scale - shift;
        _mm512_storeu_si512(table + byte, rounded(found));
    }
}

/* A picture (channels x height x width), its channels side by side and a border of zeros around it. */
static void spread(const Convolution *c, const uint8_t *from, const uint16_t *tables, uint16_t *to) {
    int64_t channels = c->in.channels, line = (c->in.width + 2 * c->left) * channels;
    memset(to, 0, (size_t)((c->in.height + 2 * c->above) * line) * sizeof *to);
    for (int64_t channel = 0; channel < channels; channel++) {
        const uint16_t *table = tables + 256 * channel;
        for (int64_t y = 0; y < c->in.height; y++) {
            uint16_t *row = to + (y + c->above) * line + c->left * channels + channel;
            for (int64_t x = 0; x < c->in.width; x++) row[x * channels] = table[*from++];
        }
    }
}

/* The rows of a place: what the kernel's taps see there, row by row, and zeros to the end. */
TARGET static void write_rows(const Convolution *c, const uint16_t *pictures, int64_t each, int64_t count, int64_t place,
                              uint16_t *to) {
    int64_t segment = c->wide * c->in.channels, line = (c->in.width + 2 * c->left) * c->in.channels;
    const uint16_t *from = pictures + place / c->out.width * c->down * line + place % c->out.width * c->right * c->in.channels;
    for (int64_t picture = 0; picture < count; picture++, from += each, to += c->out.picture) {
        for (int64_t i = 0; i < c->out.channels; i += WIDE) _mm512_storeu_si512(to + i, _mm512_setzero_si512());
        for (int64_t i = 0; i < c->high; i++)
            for (int64_t n = 0; n < segment; n += WIDE) {
                __mmask32 some = segment - n < WIDE ? (1u << (segment - n)) - 1 : ~0u;
                __m512i seen = _mm512_maskz_loadu_epi16(some, from + i * line + n);
                _mm512_mask_storeu_epi16(to + i * segment + n, some, seen);
            }
    }
}

/* Pictures `first` to `last` (bytes, channels x height x width): rows for each place of the answer. Bytes of a channel
   are multiplied by its scale and made smaller by its shift; around a picture there are zeros. -1: no memory. */
int convolution_patches(const Convolving *step, int64_t first, int64_t last) {
    const Convolution *c = step->shape;
    int64_t channels = c->in.channels, bytes = channels * c->in.height * c->in.width;
    int64_t each = (c->in.height + 2 * c->above) * (c->in.width + 2 * c->left) * channels;
    uint16_t *tables = malloc((size_t)(256 * channels + AT_ONCE * each) * sizeof *tables), *pictures = tables + 256 * channels;
    if (!tables) return -1;
    for (int64_t channel = 0; channel < channels; channel++) tabulate(step->scale[channel], step->shift[channel], tables + 256 * channel);
    for (int64_t done = first; done < last; done += AT_ONCE) {
        int64_t count = last - done < AT_ONCE ? last - done : AT_ONCE;
        for (int64_t i = 0; i < count; i++) spread(c, step->pictures + (done + i) * bytes, tables, pictures + i * each);
        for (int64_t place = 0; place < c->out.height * c->out.width; place++)
            write_rows(c, pictures, each, count, place,
                       step->to + place * c->out.place + done * c->out.picture);
    }
    free(tables);
    return 0;
}

#endif
