/* Pictures of few channels as rows of patches, so that a convolution of theirs is a product. */

#include <string.h>

#include "convolution.h"

/* Places `first` to `last` of all pictures: what the kernel's taps see there, row by row, and zeros where they see
   nothing and to the end. The pictures' rows lie one after the other. */
void convolution_patches(const Convolution *c, const uint16_t *x, int64_t first, int64_t last, uint16_t *to) {
    int64_t segment = c->wide * c->in.channels, line = c->in.width * c->in.channels;
    for (int64_t place = first; place < last; place++) {
        int64_t top = place / c->out.width * c->down - c->above;
        int64_t from = (place % c->out.width * c->right - c->left) * c->in.channels;
        int64_t start = from < 0 ? -from : 0, end = line - from < segment ? line - from : segment;
        for (int64_t picture = 0; picture < c->batch; picture++) {
            uint16_t *own = to + place * c->out.place + picture * c->out.picture;
            memset(own, 0, (size_t)c->out.channels * sizeof *own);
            for (int64_t i = 0; i < c->high; i++) {
                if (top + i < 0 || top + i >= c->in.height) continue;
                const uint16_t *seen = x + picture * c->in.picture + (top + i) * line + from;
                for (int64_t n = start; n < end; n++) own[i * segment + n] = seen[n];
            }
        }
    }
}
