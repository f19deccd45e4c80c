/* JPEG files to planes of Y, Cb and Cr, by the libjpeg that is on the machine.

   Colours are left as they are stored, often at half the resolution: undoing that is a part of resampling.
   Whatever is not plain, and whatever the library complains of, is not taken: the caller decodes it otherwise. */

#include "huffman.h"
#include "jpeg62.h"
#include "kernel.h"
#include "transpose.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdlib.h>

enum { SCANS = 16 }; /* progressive files have some 10; others are `decode`'s to judge */

struct JpegLibrary {
    JpegErrors *(*std_error)(JpegErrors *);
    void (*create)(JpegDecompress *, int version, size_t bytes);
    void (*mem_src)(JpegDecompress *, const unsigned char *, unsigned long);
    int (*read_header)(JpegDecompress *, int require_image);
    int (*start)(JpegDecompress *);
    unsigned (*read_raw)(JpegDecompress *, uint8_t ***planes, unsigned lines);
    int (*finish)(JpegDecompress *);
    void (*destroy)(JpegDecompress *);
    int own_entropy; /* whether `huffman.c` decodes what it can: only where that was tried out, see library.py */
};

typedef struct {
    JpegDecompress info;
    JpegErrors errors;
    JpegProgress progress;
    Scan scan;
    jmp_buf refused;
} Reader;

static void refuse(JpegDecompress *info) {
    longjmp(((Reader *)info->client_data)->refused, 1);
}

static void refuse_warnings(JpegDecompress *info, int level) {
    if (level < 0) refuse(info);
}

static void say_nothing(JpegDecompress *info) {
    (void)info;
}

/* Each scan goes over the whole picture again: a small file of many would take long. */
static void refuse_many_scans(JpegDecompress *info) {
    if (info->input_scan_number > SCANS) refuse(info);
}

/* The reader is made zero by the caller, so that it can be destroyed whatever happens. */
static void open_file(const JpegLibrary *library, Reader *reader, const uint8_t *file, size_t bytes) {
    reader->info.err = library->std_error(&reader->errors);
    reader->errors.error_exit = refuse;
    reader->errors.emit_message = refuse_warnings;
    reader->errors.output_message = say_nothing;
    reader->info.client_data = reader;
    reader->progress.progress_monitor = refuse_many_scans;
    library->create(&reader->info, JPEG_VERSION, sizeof(reader->info));
    reader->info.progress = &reader->progress;
    library->mem_src(&reader->info, file, (unsigned long)bytes);
    if (library->read_header(&reader->info, 1) != JPEG_HEADER_OK) refuse(&reader->info);
}

/* The functions of libjpeg at this path (all of them, of the right version), or NULL. */
JpegLibrary *open_jpeg(const char *path) {
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    JpegLibrary *library = handle ? calloc(1, sizeof(*library)) : NULL;
    if (!library) return NULL;
    struct {
        const char *name;
        void *place;
    } wanted[] = {
        {"jpeg_std_error", &library->std_error},
        {"jpeg_CreateDecompress", &library->create},
        {"jpeg_mem_src", &library->mem_src},
        {"jpeg_read_header", &library->read_header},
        {"jpeg_start_decompress", &library->start},
        {"jpeg_read_raw_data", &library->read_raw},
        {"jpeg_finish_decompress", &library->finish},
        {"jpeg_destroy_decompress", &library->destroy},
    };
    int whole = 1;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
        void *found = dlsym(handle, wanted[i].name);
        if (found) memcpy(wanted[i].place, &found, sizeof(found));
        whole = whole && found;
    }
    Reader reader = {0};
    if (whole && setjmp(reader.refused) == 0) {
        reader.info.err = library->std_error(&reader.errors);
        reader.errors.error_exit = refuse;
        reader.info.client_data = &reader;
        library->create(&reader.info, JPEG_VERSION, sizeof(reader.info)); /* refuses other versions and sizes */
        library->destroy(&reader.info);
        return library;
    }
    free(library);
    dlclose(handle);
    return NULL;
}

/* Whether this is a picture for `read_picture`: 8 bits, gray or YCbCr, colours at full or half resolution. */
static int is_plain(const JpegDecompress *info, int64_t most) {
    int colours = info->num_components;
    if (info->image_width < 1 || info->image_height < 1) return 0;
    if ((int64_t)info->image_width * info->image_height > most) return 0;
    if (info->data_precision != 8 || info->arith_code || info->CCIR601_sampling) return 0;
    if (!(colours == 1 && info->jpeg_color_space == JPEG_GRAY) &&
        !(colours == 3 && info->jpeg_color_space == JPEG_YCBCR))
        return 0;
    for (int c = 0; c < colours; c++) {
        const JpegComponent *one = &info->comp_info[c], *first = info->comp_info;
        if (one->component_index != c) return 0;
        if (one->h_samp_factor < 1 || one->h_samp_factor > 2) return 0;
        if (one->v_samp_factor < 1 || one->v_samp_factor > 2) return 0;
        if (one->h_samp_factor > first->h_samp_factor || one->v_samp_factor > first->v_samp_factor) return 0;
        if (c == 2 && (one->h_samp_factor != one[-1].h_samp_factor || one->v_samp_factor != one[-1].v_samp_factor))
            return 0;
    }
    return 1;
}

/* Height and width as the file says; 0 if the kernel can take it. */
int read_size(const JpegLibrary *library, const uint8_t *file, size_t bytes, int64_t most, int64_t size[2]) {
    Reader reader = {0};
    volatile int plain = 0;
    if (setjmp(reader.refused) == 0) {
        open_file(library, &reader, file, bytes);
        plain = is_plain(&reader.info, most);
        size[0] = reader.info.image_height;
        size[1] = reader.info.image_width;
    }
    library->destroy(&reader.info);
    return plain ? 0 : -1;
}

/* What a plane's samples stand for, and room for them. */
static int prepare(const JpegDecompress *info, int colour, Scratch *memory, Plane *plane) {
    const JpegComponent *one = &info->comp_info[colour];
    int unit = info->min_DCT_scaled_size;
    plane->wide = info->max_h_samp_factor * unit / (one->h_samp_factor * one->DCT_scaled_size);
    plane->tall = info->max_v_samp_factor * unit / (one->v_samp_factor * one->DCT_scaled_size);
    if (plane->wide < 1 || plane->wide > 2 || plane->tall < 1 || plane->tall > 2) return -1;
    plane->rows = one->downsampled_height;
    plane->columns = one->downsampled_width;
    plane->smooth = plane->wide == 1 || plane->columns > 2; /* as libjpeg's own doubling */
    int64_t rows = padded((int64_t)info->total_iMCU_rows * one->v_samp_factor * one->DCT_scaled_size);
    int64_t columns = padded((int64_t)one->width_in_blocks * one->DCT_scaled_size);
    plane->pitch = rows + (rows % 1024 == 0 ? LANES : 0); /* columns should not all meet in one cache set */
    plane->samples = scratch(memory, PLANE_Y + colour, (size_t)(plane->pitch * columns + 2 * LANES) * 2);
    return plane->samples ? 0 : -1;
}

/* 16 rows of bytes to 16 entries of each column, in 64ths of a level. */
static void store(const uint8_t *strip, int64_t pitch, Plane *plane, int64_t top) {
    for (int64_t x = 0; x < pitch; x += 16) {
        Bytes rows[16], zero = {0};
        for (int i = 0; i < 16; i++) memcpy(&rows[i], strip + i * pitch + x, 16);
        turn_bytes(rows);
        for (int i = 0; i < 16; i++) {
            int16_t *out = plane->samples + (x + i) * plane->pitch + top;
            Bytes low = PICK(rows[i], zero, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            Bytes high = PICK(rows[i], zero, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
            Words a = (Words)low << LEVEL_BITS, b = (Words)high << LEVEL_BITS;
            memcpy(out, &a, 16);
            memcpy(out + 8, &b, 16);
        }
    }
}

/* All rows, in strips of 16: libjpeg gives 1 to 16 rows of a plane at a time. */
static int read_planes(const JpegLibrary *library, JpegDecompress *info, Scratch *memory, Picture *picture) {
    uint8_t *lines[3][16], **planes[3] = {lines[0], lines[1], lines[2]}, *strips[3];
    int64_t pitch[3], bytes = 0, filled = 0, each[3];
    for (int c = 0; c < picture->colours; c++) {
        const JpegComponent *one = &info->comp_info[c];
        if (prepare(info, c, memory, &picture->planes[c])) return -1;
        pitch[c] = padded((int64_t)one->width_in_blocks * one->DCT_scaled_size);
        each[c] = (int64_t)one->v_samp_factor * one->DCT_scaled_size;
        bytes += 16 * pitch[c];
    }
    uint8_t *strip = scratch(memory, STRIP, (size_t)bytes);
    if (!strip) return -1;
    for (int c = 0; c < picture->colours; strip += 16 * pitch[c++]) strips[c] = strip;
    unsigned most = (unsigned)(info->max_v_samp_factor * info->min_DCT_scaled_size);
    for (unsigned done = 0; done < info->total_iMCU_rows; done++, filled++) {
        for (int c = 0; c < picture->colours; c++)
            for (int64_t i = 0; i < each[c]; i++)
                lines[c][i] = strips[c] + (filled * each[c] + i) % 16 * pitch[c];
        if (library->read_raw(info, planes, most) != most) return -1;
        int last = done + 1 == info->total_iMCU_rows;
        for (int c = 0; c < picture->colours; c++) {
            int64_t rows = (filled + 1) * each[c];
            if (rows % 16 == 0 || last) store(strips[c], pitch[c], &picture->planes[c], (rows - 1) / 16 * 16);
        }
    }
    return 0;
}

static int decode_mcu(JpegDecompress *info, int16_t (**blocks)[64]) {
    if (decode_unit(info, &((Reader *)info->client_data)->scan, blocks)) refuse(info);
    return 1;
}

/* Whether the library's entropy decoder is replaced by ours from now on. */
void sightword_own_entropy(JpegLibrary *library, int wanted) {
    library->own_entropy = wanted;
}

/* The file's planes at so many eighths of its size; -1 where it is not taken. */
int read_picture(const JpegLibrary *library, const uint8_t *file, size_t bytes, int64_t most, int eighths,
                 Scratch *memory, Picture *picture) {
    Reader reader = {0};
    volatile int result = -1;
    if (setjmp(reader.refused) == 0) {
        JpegDecompress *info = &reader.info;
        open_file(library, &reader, file, bytes);
        if (is_plain(info, most)) {
            info->scale_num = (unsigned)eighths;
            info->scale_denom = 8;
            info->raw_data_out = 1;
            picture->scale = eighths / 8.0;
            library->start(info);
            if (library->own_entropy && open_scan(info, memory, &reader.scan)) info->entropy->decode_mcu = decode_mcu;
            picture->colours = info->num_components;
            picture->rows = info->output_height;
            picture->columns = info->output_width;
            if (read_planes(library, info, memory, picture) == 0) {
                library->finish(info);
                result = 0;
            }
        }
    }
    library->destroy(&reader.info);
    return result;
}
