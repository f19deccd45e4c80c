/* The part of libjpeg's interface, version 6.2, that the kernel talks to.

   The library is found at run time, so its own header need not be there when this is built. These are our own
   declarations of what that interface fixes: the order and the types of the fields. Fields that the kernel
   never reads stand together as arrays. The library compares its version and its size of `JpegDecompress` with
   ours before it does anything else (jpeg_CreateDecompress), so another layout is refused, not misread. */

#ifndef SIGHTWORD_JPEG62_H
#define SIGHTWORD_JPEG62_H

#include <stddef.h>
#include <stdint.h>

enum { JPEG_VERSION = 62, JPEG_DCT = 8, JPEG_GRAY = 1, JPEG_YCBCR = 3, JPEG_HEADER_OK = 1 };

typedef struct JpegDecompress JpegDecompress;

typedef struct {
    void (*error_exit)(JpegDecompress *); /* must not return */
    void (*emit_message)(JpegDecompress *, int level); /* level < 0: a warning, the data are broken */
    void (*output_message)(JpegDecompress *);
    void (*format_message)(JpegDecompress *, char *);
    void (*reset_error_mgr)(JpegDecompress *);
    int msg_code;
    union {
        int i[8];
        char s[80];
    } msg_parm;
    int trace_level;
    long num_warnings;
    const char *const *message_table;
    int last_message;
    const char *const *addon_table;
    int first_addon, last_addon;
} JpegErrors;

typedef struct {
    int component_id, component_index, h_samp_factor, v_samp_factor, tables[3];
    unsigned width_in_blocks, height_in_blocks;
    int DCT_scaled_size; /* pixels that a block of 8 becomes */
    unsigned downsampled_width, downsampled_height;
    int in_scan[7];
    void *private[2];
} JpegComponent;

typedef struct {
    void (*progress_monitor)(JpegDecompress *);
    long passed, limit;
    int completed, total;
} JpegProgress;

/* Of what the library keeps to itself: the entropy decoder, whose first two fields are these in every version. */
typedef struct {
    void (*start_pass)(JpegDecompress *);
    int (*decode_mcu)(JpegDecompress *, int16_t (**blocks)[64]);
} JpegEntropy;

typedef struct {
    const uint8_t *next_input_byte;
    size_t bytes_in_buffer;
} JpegSource; /* and functions */

struct JpegDecompress {
    JpegErrors *err;
    void *mem;
    JpegProgress *progress;
    void *client_data;
    int is_decompressor, global_state;
    JpegSource *src;
    unsigned image_width, image_height;
    int num_components, jpeg_color_space, out_color_space;
    unsigned scale_num, scale_denom;
    double output_gamma;
    int buffered_image, raw_data_out, dct_method, do_fancy_upsampling, do_block_smoothing, quantizing[7];
    unsigned output_width, output_height;
    int output_colours[4];
    void *colormap;
    unsigned output_scanline;
    int input_scan_number;
    unsigned input_iMCU_row;
    int output_scan_number;
    unsigned output_iMCU_row;
    void *coef_bits, *quantisation[4];
    uint8_t *huffman_tables[2][4]; /* DC, AC: how many codes of lengths 0 to 16, then 256 symbols */
    int data_precision;
    JpegComponent *comp_info;
    int progressive_mode, arith_code;
    uint8_t arithmetic[48];
    unsigned restart_interval;
    int saw_JFIF_marker;
    uint8_t JFIF[3];
    uint16_t density[2];
    int saw_Adobe_marker;
    uint8_t Adobe_transform;
    int CCIR601_sampling;
    void *marker_list;
    int max_h_samp_factor, max_v_samp_factor, min_DCT_scaled_size;
    unsigned total_iMCU_rows;
    void *sample_range_limit;
    int comps_in_scan;
    JpegComponent *cur_comp_info[4];
    unsigned MCUs[2];
    int blocks_in_MCU, MCU_membership[10], spectrum[4], unread_marker;
    void *parts_before[6];
    JpegEntropy *entropy;
    void *parts_after[4];
};

#endif
