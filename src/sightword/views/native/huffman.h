/* Coefficients of baseline JPEG files, decoded faster than by the library's own entropy decoder. */

#ifndef SIGHTWORD_HUFFMAN_H
#define SIGHTWORD_HUFFMAN_H

#include "jpeg62.h"
#include "kernel.h"

enum { LOOK = 10 }; /* bits that are looked up at once */

/* A code and what is behind it, a byte each from the lowest: the bits of both; the code's bits (0: of no code);
   the coefficient's; noughts before it, or from 16 on that it is none (see huffman.c). */
typedef uint32_t Entry;

typedef struct {
    Entry entries[1 << LOOK];
    int32_t most[18];  /* the largest code of each length, -1 where there is none */
    int32_t shift[17]; /* from codes of a length to places in `symbols` */
    const uint8_t *symbols;
} Table;

typedef struct {
    const uint8_t *data, *end, *rest; /* the scan without its stuffing; what follows it in the file */
    uint64_t window;                  /* the next bits, from the top */
    int left;                         /* how many of them are true */
    int64_t units;                    /* MCUs to come */
    int shifts;                       /* whether the processor shifts without its flags, which is faster */
    Table *tables[10][2];             /* of each block of an MCU: DC, AC */
    int colour[10], before[4];        /* of each block; of each colour the last DC */
} Scan;

/* Whether this file is one for `decode_unit`: then `scan` stands before its first MCU. */
int open_scan(JpegDecompress *info, Scratch *memory, Scan *scan);

/* The next MCU's blocks, which were noughts; -1 where the data are broken. */
int decode_unit(JpegDecompress *info, Scan *scan, int16_t (**blocks)[64]);

#endif
