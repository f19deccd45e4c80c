/* Stuffing is taken out beforehand, a window of 64 bits serves two or three codes, and one look-up finds a code, the
   noughts before its coefficient and the bits behind it.

   Only the plain case is done here: one scan of all colours, no restarts. And only whole data: whatever is odd is
   left to others, so a wrong file never becomes a good one here. */

#include "huffman.h"

#include <string.h>

enum { END = 16, NONE = 17, AHEAD = 512 }; /* a block has at most 64 x 32 bits */

static const uint8_t ZIGZAG[64] = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
    41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
    30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
};

static Entry entry_of(uint8_t symbol, int length, int is_dc) {
    uint32_t size = symbol & 15, skip = is_dc ? 0 : symbol >> 4;
    if (!is_dc && size == 0) skip = skip == 15 ? NONE : END;
    return ((uint32_t)length + size) | (uint32_t)length << 8 | size << 16 | skip << 24;
}

/* From a table as the file has it, how many codes of each length and then their symbols; -1 if it is not one. */
static int build(Table *table, const uint8_t *described, int is_dc) {
    int32_t code = 0, place = 0;
    memset(table->entries, 0, sizeof(table->entries));
    table->symbols = described + 17;
    for (int length = 1; length <= 16; length++) {
        int32_t count = described[length];
        if (place + count > 256 || code + count > 1 << length) return -1;
        table->shift[length] = place - code;
        for (int32_t i = 0; i < count && length <= LOOK; i++) {
            Entry entry = entry_of(table->symbols[place + i], length, is_dc);
            for (int32_t look = 0; look < 1 << (LOOK - length); look++)
                table->entries[((code + i) << (LOOK - length)) + look] = entry;
        }
        code += count, place += count;
        table->most[length] = count ? code - 1 : -1;
        code <<= 1;
    }
    return 0;
}

/* The scan's bytes without the 0 after each 255, up to the next marker. */
static int unstuff(JpegDecompress *info, Scratch *memory, Scan *scan) {
    const uint8_t *in = info->src->next_input_byte, *stop = in + info->src->bytes_in_buffer;
    uint8_t *out = scratch(memory, ENTROPY, (size_t)(stop - in) + AHEAD);
    if (!out) return -1;
    scan->data = out;
    for (;;) {
        const uint8_t *found = memchr(in, 255, (size_t)(stop - in));
        if (!found || stop - found < 2) return -1; /* cut short */
        memcpy(out, in, (size_t)(found - in));
        out += found - in;
        if (found[1] != 0) {
            scan->end = out;
            scan->rest = found;
            memset(out, 0, AHEAD);
            return found[1] == 255 ? -1 : 0;
        }
        *out++ = 255;
        in = found + 2;
    }
}

int open_scan(JpegDecompress *info, Scratch *memory, Scan *scan) {
    if (info->progressive_mode || info->arith_code || info->restart_interval) return 0;
    if (info->comps_in_scan != info->num_components || info->blocks_in_MCU > 10) return 0;
    Table *room = scratch(memory, TABLES, 8 * sizeof(Table)), *built[2][4] = {{0}};
    if (!room || unstuff(info, memory, scan)) return 0;
    for (int i = 0; i < info->blocks_in_MCU; i++) {
        scan->colour[i] = info->MCU_membership[i];
        const JpegComponent *one = info->cur_comp_info[scan->colour[i]];
        for (int ac = 0; ac < 2; ac++) {
            int number = one->tables[1 + ac];
            if (number < 0 || number > 3 || !info->huffman_tables[ac][number]) return 0;
            if (!built[ac][number]) {
                if (build(room, info->huffman_tables[ac][number], !ac)) return 0;
                built[ac][number] = room++;
            }
            scan->tables[i][ac] = built[ac][number];
        }
    }
    memset(scan->before, 0, sizeof(scan->before));
    scan->units = (int64_t)info->MCUs[0] * info->MCUs[1];
    scan->window = 0, scan->left = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    scan->shifts = __builtin_cpu_supports("bmi2") != 0;
#endif
    return 1;
}

/* At least 56 bits in the window; beyond the end they are noughts. */
static inline void refill(Scan *scan) {
    uint64_t next;
    memcpy(&next, scan->data, 8);
    scan->window |= __builtin_bswap64(next) >> scan->left;
    scan->data += (63 - scan->left) >> 3;
    scan->left |= 56;
}

/* A code longer than LOOK bits; 0 if there is none. */
static __attribute__((noinline)) Entry long_code(uint64_t window, const Table *table, int is_dc) {
    for (int length = LOOK + 1; length <= 16; length++) {
        int32_t code = (int32_t)(window >> (64 - length));
        int32_t place = code + table->shift[length];
        if (code <= table->most[length] && place >= 0 && place < 256)
            return entry_of(table->symbols[place], length, is_dc);
    }
    return 0;
}

#define QUICK static inline __attribute__((always_inline))

QUICK Entry next_entry(const Scan *scan, const Table *table, int is_dc) {
    Entry entry = table->entries[scan->window >> (64 - LOOK)];
    return __builtin_expect(entry == 0, 0) ? long_code(scan->window, table, is_dc) : entry;
}

/* The coefficient behind a code: its bits as they are if the first is 1, else less the largest of their size. */
QUICK int32_t spend(Scan *scan, Entry entry) {
    uint64_t bits = scan->window << (entry >> 8 & 63);
    int size = entry >> 16 & 63;
    int32_t negative = ~(int32_t)((int64_t)bits >> 63);
    scan->window <<= entry & 63;
    scan->left -= (int)(entry & 63);
    return (int32_t)(bits >> 1 >> (63 - size)) - (((1 << size) - 1) & negative);
}

/* 1 at the block's end, -1 where the data are broken. */
QUICK int decode_next(Scan *scan, const Table *table, int16_t *block, int *k) {
    Entry entry = next_entry(scan, table, 0);
    if (__builtin_expect(entry >> 24 < END, 1)) {
        *k += (int)(entry >> 24);
        if (*k > 63 || entry == 0) return -1;
        block[ZIGZAG[(*k)++]] = (int16_t)spend(scan, entry);
        return *k > 63;
    }
    spend(scan, entry);
    *k += 16;
    return entry >> 24 == END || *k > 63;
}

QUICK int decode_block(Scan *scan, int i, int16_t *block) {
    refill(scan);
    Entry entry = next_entry(scan, scan->tables[i][0], 1);
    int32_t *before = &scan->before[scan->colour[i]], now = *before + spend(scan, entry);
    if (entry == 0 || now < -32768 || now > 32767) return -1;
    *before = now;
    block[0] = (int16_t)now;
    const Table *table = scan->tables[i][1];
    for (int k = 1, done = 0; !done;) {
        refill(scan); /* 56 bits: enough for one of at most 31 and one of at most 25 */
        done = decode_next(scan, table, block, &k);
        if (!done && scan->left > 31) done = decode_next(scan, table, block, &k);
        if (!done && scan->left > 31) done = decode_next(scan, table, block, &k);
        if (done < 0) return -1;
    }
    return scan->data > scan->end + 8 ? -1 : 0;
}

QUICK int decode_blocks(Scan *scan, int count, int16_t (**blocks)[64]) {
    Scan now = *scan; /* a copy whose address nobody else has stays in registers */
    for (int i = 0; i < count; i++)
        if (decode_block(&now, i, *blocks[i])) return -1;
    scan->data = now.data, scan->window = now.window, scan->left = now.left;
    memcpy(scan->before, now.before, sizeof(now.before));
    return 0;
}

static int decode_plain(Scan *scan, int count, int16_t (**blocks)[64]) {
    return decode_blocks(scan, count, blocks);
}

#if defined(__x86_64__)
__attribute__((target("bmi,bmi2"))) static int decode_bmi2(Scan *scan, int count, int16_t (**blocks)[64]) {
    return decode_blocks(scan, count, blocks);
}
#else
#define decode_bmi2 decode_plain
#endif

int decode_unit(JpegDecompress *info, Scan *scan, int16_t (**blocks)[64]) {
    if (scan->units < 1) return -1;
    if ((scan->shifts ? decode_bmi2 : decode_plain)(scan, info->blocks_in_MCU, blocks)) return -1;
    if (--scan->units == 0) {
        int64_t spare = 8 * (scan->end - scan->data) + scan->left; /* bits that were not needed: padding */
        if (spare < 0 || spare > 7) return -1;
        info->src->bytes_in_buffer -= (size_t)(scan->rest - info->src->next_input_byte);
        info->src->next_input_byte = scan->rest;
    }
    return 0;
}
