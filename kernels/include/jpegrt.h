/* jpegrt.h - C ABI of the native core: JPEG coefficients in, restored pixels out.
 *
 * Rules
 *   Handles are opaque. `_create` writes one, `_destroy` takes NULL.
 *   Every call that can fail returns a jpegrt_status; the sentence that explains it is kept in the
 *   handle (`_message`) until the next call on it. A `_create` that fails leaves no handle, so its
 *   status has to do. Nothing is printed, nothing aborts.
 *   Option structs begin with struct_size: set it to sizeof(the struct).
 *   The caller owns the bytes it passes in and the pixels it gets back.
 *   A handle may be used by one thread at a time; different handles at the same time.
 *
 * Conventions
 *   Coefficients are quantised int16, 64 per block in raster order (frequency row by row: index
 *   8 * v + u), blocks row by row. Tables are uint16, raster order too.
 *   Samples before the level shift are "centred": 0 is mid-grey, +-128 the ends of 8 bits.
 */
#ifndef JPEGRT_H_
#define JPEGRT_H_

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#ifdef JPEGRT_BUILD
#define JPEGRT_API __declspec(dllexport)
#else
#define JPEGRT_API __declspec(dllimport)
#endif
#else
#define JPEGRT_API __attribute__((visibility("default")))
#endif

#define JPEGRT_VERSION_MAJOR 0
#define JPEGRT_VERSION_MINOR 1
#define JPEGRT_VERSION_PATCH 0

#define JPEGRT_MAX_COMPONENTS 4
#define JPEGRT_MAX_RANK 4

#ifdef __cplusplus
extern "C" {
#endif

typedef enum jpegrt_status {
  JPEGRT_OK = 0,
  JPEGRT_ERR_INVALID_ARGUMENT = 1,
  JPEGRT_ERR_NO_MEMORY = 2,
  JPEGRT_ERR_NOT_JPEG = 3,    /* empty, or does not begin as a JPEG */
  JPEGRT_ERR_DAMAGED = 4,     /* truncated or corrupt */
  JPEGRT_ERR_UNSUPPORTED = 5, /* a JPEG, but of a kind that is not handled */
  JPEGRT_ERR_TOO_LARGE = 6,   /* over the caller's pixel limit; nothing was allocated */
  JPEGRT_ERR_ENGINE = 7,      /* the engine said no; its message is the session's */
  JPEGRT_ERR_INTERNAL = 8
} jpegrt_status;

/* major * 1000000 + minor * 1000 + patch */
JPEGRT_API uint32_t jpegrt_version(void);

/* The libjpeg this library was compiled against, e.g. "libjpeg-turbo 2.1.5". Static storage. */
JPEGRT_API const char* jpegrt_libjpeg_version(void);

/* ---- Blocks: one component's quantised coefficients -------------------------------------- */

typedef struct jpegrt_blocks {
  const int16_t* data;   /* block (row, column) starts at data + 64 * (row * stride + column) */
  const uint16_t* table; /* 64 quantisation steps */
  uint32_t rows;         /* blocks that hold image samples, top to bottom */
  uint32_t columns;      /* and left to right */
  uint32_t stride;       /* blocks from one row to the next, >= columns */
} jpegrt_blocks;

/* Spectral tensor, float32 (64, rows, columns): plane k holds coefficient k of every block,
 * times its quantisation step, times scale. */
JPEGRT_API jpegrt_status jpegrt_spectrum_from_blocks(const jpegrt_blocks* blocks, float scale,
                                                     float* spectrum);

/* Coefficient plane, float32 (8 * rows, 8 * columns): every block's dequantised coefficients,
 * times scale, where its pixels would be. */
JPEGRT_API jpegrt_status jpegrt_coefficient_plane_from_blocks(const jpegrt_blocks* blocks,
                                                              float scale, float* plane);

/* Pixel cells, float32 (w * h, 8 * rows / h, 8 * columns / w), cells of w x h samples, each 1, 2, 4
 * or 8: the inverse DCT (centred samples times scale), pixel-unshuffled: sample (x, y) is in plane
 * (y % h) * w + x % w. With w = h = 1 it is the image's own plane. */
JPEGRT_API jpegrt_status jpegrt_cells_from_blocks(const jpegrt_blocks* blocks, uint32_t cell_width,
                                                  uint32_t cell_height, float scale, float* cells);

/* Samples, uint8 (8 * rows, 8 * columns): inverse DCT, level shift, rounding and clamping, bit for
 * bit as libjpeg's default integer transform wherever no sum leaves 32 bits. */
JPEGRT_API jpegrt_status jpegrt_samples_from_blocks(const jpegrt_blocks* blocks, uint8_t* samples);

/* ---- Coefficients: a JPEG's entropy-decoded content -------------------------------------- */

typedef enum jpegrt_colour {
  JPEGRT_COLOUR_GREY = 0,
  JPEGRT_COLOUR_YCBCR = 1,
  JPEGRT_COLOUR_RGB = 2
} jpegrt_colour;

typedef enum jpegrt_coding {
  JPEGRT_CODING_SEQUENTIAL = 0,
  JPEGRT_CODING_PROGRESSIVE = 1
} jpegrt_coding;

typedef struct jpegrt_component {
  jpegrt_blocks blocks;
  uint32_t width, height; /* samples */
  uint32_t h, v;          /* sampling factors */
} jpegrt_component;

typedef struct jpegrt_image {
  uint32_t width, height; /* pixels */
  uint32_t components;    /* 1 or 3 */
  jpegrt_colour colour;
  jpegrt_coding coding;
  uint32_t arithmetic;       /* 1 if arithmetic-coded, 0 if Huffman */
  uint32_t restart_interval; /* MCUs, 0 = none */
  uint32_t warnings;         /* complaints of the decoder that allow_damaged let pass */
  jpegrt_component component[JPEGRT_MAX_COMPONENTS]; /* blocks.data is NULL after _read_header */
} jpegrt_image;

typedef struct jpegrt_read_options {
  uint32_t struct_size;
  uint32_t allow_damaged; /* 1: keep what could be decoded of a truncated or corrupt file */
  uint64_t max_pixels;    /* width * height above this is refused; 0 = 2^27 */
} jpegrt_read_options;

typedef struct jpegrt_coefficients jpegrt_coefficients;

JPEGRT_API jpegrt_status jpegrt_coefficients_create(jpegrt_coefficients** out);
JPEGRT_API void jpegrt_coefficients_destroy(jpegrt_coefficients* coefficients);
JPEGRT_API const char* jpegrt_coefficients_message(const jpegrt_coefficients* coefficients);

/* Geometry, sampling and colour only; tables and blocks are NULL. options may be NULL. */
JPEGRT_API jpegrt_status jpegrt_coefficients_read_header(jpegrt_coefficients* coefficients,
                                                         const uint8_t* bytes, size_t size,
                                                         const jpegrt_read_options* options,
                                                         jpegrt_image* image);

/* Entropy-decodes the whole file. The blocks belong to the handle and are overwritten by its next
 * read: their memory is reused, which is what makes reading many images fast. */
JPEGRT_API jpegrt_status jpegrt_coefficients_read(jpegrt_coefficients* coefficients,
                                                  const uint8_t* bytes, size_t size,
                                                  const jpegrt_read_options* options,
                                                  jpegrt_image* image);

/* ---- Engine: what runs a network --------------------------------------------------------- */

typedef enum jpegrt_dtype { JPEGRT_FLOAT32 = 0, JPEGRT_FLOAT16 = 1 } jpegrt_dtype;
typedef enum jpegrt_device { JPEGRT_DEVICE_CPU = 0 } jpegrt_device;

typedef struct jpegrt_tensor {
  const char* name; /* the graph's own name of this input or output */
  void* data;       /* C-contiguous */
  jpegrt_dtype dtype;
  jpegrt_device device;
  uint32_t rank;
  int64_t shape[JPEGRT_MAX_RANK];
} jpegrt_tensor;

/* Contract of `run`:
 *   It is called on the thread that called the session, one call at a time per session.
 *   `graph` names one of the model's graphs. The tensors are the pipeline's own buffers: read the
 *   inputs, write the outputs in place, keep no pointer to either after returning. Calls on the
 *   session that is running it are refused.
 *   `stream` is the caller's CUDA stream for device tensors, NULL on the CPU.
 *   Return 0 when the outputs are written. Anything else stops the pipeline, which returns
 *   JPEGRT_ERR_ENGINE with the text left in `message` (at most message_size bytes with the NUL).
 * `destroy` may be NULL; it is called once, by jpegrt_session_destroy, and nothing after it. */
typedef struct jpegrt_engine {
  uint32_t struct_size;
  void* user;
  int (*run)(void* user, const char* graph, const jpegrt_tensor* inputs, size_t n_inputs,
             const jpegrt_tensor* outputs, size_t n_outputs, void* stream, char* message,
             size_t message_size);
  void (*destroy)(void* user);
} jpegrt_engine;

/* ---- Model: which tensors a network takes ------------------------------------------------ */

/* A graph restores images of one sampling. Its tensors, with r = cell_px, on an image whose luma is
 * padded to H x W (whole MCUs), cells scaled by the model's `scale`:
 *   in  luma   (1, r * r, H / r, W / r)
 *   in  chroma (1, 2 * r * r / (h * v), H / r, W / r)   Cb's cells, then Cr's; absent in grey
 *   in  steps  (1, 64 * components)                     quantisation steps, raster order, Y Cb Cr
 *   out luma_restored   (1, r * r, H / r, W / r)
 *   out chroma_restored (1, 2 * r * r, H / r, W / r)    full resolution; absent in grey */
typedef struct jpegrt_graph {
  const char* name;
  uint32_t components;         /* 1: grey, 3: Y, Cb, Cr */
  uint32_t chroma_h, chroma_v; /* luma samples per chroma sample, across and down; 1 in grey */
} jpegrt_graph;

typedef struct jpegrt_model {
  uint32_t struct_size;
  uint32_t cell_px; /* r: 1, 2, 4 or 8; r / chroma_h and r / chroma_v are whole in every graph */
  float scale;      /* centred samples are multiplied by it on the way in, divided on the way out */
  uint32_t n_graphs;
  const jpegrt_graph* graphs; /* copied; a grey graph is required */
} jpegrt_model;

/* ---- Session: bytes in, pixels out ------------------------------------------------------- */

typedef struct jpegrt_session_options {
  uint32_t struct_size;
  uint32_t threads; /* for everything but the engine, at most 1024; 0 = one per core */
  jpegrt_read_options read;
} jpegrt_session_options;

typedef struct jpegrt_timings {
  double entropy_decode_ms; /* bytes -> coefficients */
  double unpack_ms;         /* coefficients -> the network's input (or samples without a model) */
  double network_ms;        /* the engine */
  double pixels_ms;         /* the network's output -> interleaved pixels */
} jpegrt_timings;

typedef struct jpegrt_session jpegrt_session;

/* options may be NULL. model and engine may both be NULL: the session is then a plain decoder. The
 * engine struct is copied, and destroyed with the session, also when this call fails. */
JPEGRT_API jpegrt_status jpegrt_session_create(const jpegrt_session_options* options,
                                               const jpegrt_model* model,
                                               const jpegrt_engine* engine, jpegrt_session** out);
JPEGRT_API void jpegrt_session_destroy(jpegrt_session* session);
JPEGRT_API const char* jpegrt_session_message(const jpegrt_session* session);

/* Entropy-decodes; `image` (may be NULL) then tells how large a buffer `restore` needs. */
JPEGRT_API jpegrt_status jpegrt_session_read(jpegrt_session* session, const uint8_t* bytes,
                                             size_t size, jpegrt_image* image);

/* Restores the image last read into uint8 pixels: height rows of width pixels, one byte each for
 * grey, else R G B; rows are row_stride bytes apart. */
JPEGRT_API jpegrt_status jpegrt_session_restore(jpegrt_session* session, uint8_t* pixels,
                                                size_t row_stride);

/* Of the last read and restore. */
JPEGRT_API jpegrt_status jpegrt_session_timings(const jpegrt_session* session,
                                                jpegrt_timings* timings);

/* ---- Non-local operator: every patch becomes a mean of patches like it ------------------- */

typedef struct jpegrt_non_local_options {
  uint32_t struct_size;
  uint32_t threads; /* at most 1024; 0 = one per core */
  uint32_t images;
  uint32_t channels;      /* 1 or 3 */
  uint32_t height, width; /* pixels, at most 2^24 in all and 65535 on a side */
  uint32_t window_px;     /* keys at most this far across and down from the query; 0 = everywhere */
  jpegrt_dtype dtype;     /* of guide, value and filtered */
  float h;                /* where there is no plane of h */
} jpegrt_non_local_options;

/* For query m and key n, the 3x3 patches of all channels around each pixel, the border replicated:
 *   w(m, n) = exp(-|guide(m) - guide(n)|^2 / (h(m)^2 + 1e-6)) * (keys(n) != 0) / S(m)
 * with S(m) such that w sums to 1 over n; filtered patch m = sum over n of w(m, n) * value(n), and
 * value(m) itself where keys is 0 everywhere (within the window). A pixel of `filtered` is the mean
 * of the up to nine patches over it.
 *
 * guide, value, filtered: (images, channels, height, width), meant for the range [0, 1]; h,
 * float32, and keys: (images, 1, height, width). h may be NULL: options->h everywhere; keys may be
 * NULL: 1 everywhere. filtered overlaps none of the inputs. Sums are float32 or better for both
 * dtypes; the result does not depend on the number of threads. Needs 76 bytes a pixel and 100 bytes
 * a pixel of 18 rows (at least 4 KiB of them) for each thread; with window_px, a row counts as
 * window_px pixels longer, at most twice its length. Time grows with the product of queries and
 * keys. */
JPEGRT_API jpegrt_status jpegrt_non_local(const jpegrt_non_local_options* options,
                                          const void* guide, const void* value, const float* h,
                                          const uint8_t* keys, void* filtered);

typedef struct jpegrt_blocking_edges_options {
  uint32_t struct_size;
  uint32_t images;
  uint32_t channels;       /* 1 or 3 */
  uint32_t height, width;  /* pixels, at most 2^24 in all and 65535 on a side */
  uint32_t grid_x, grid_y; /* 0 to 7: the first column and row at which a block begins */
  float ratio;             /* at least 1; 2 is a good value */
  float least_step;        /* at least 0; 1/255 is a good value for samples in [0, 1] */
} jpegrt_blocking_edges_options;

/* Keys for it: 0 on both sides of a border between 8x8 blocks that stands out, else 1. Two blocks
 * share a border of 8 rows (or columns); at the image's edge, of as many as there are. Its step is
 * the mean over rows and channels of the absolute difference across it. It stands out if that is at
 * least least_step and more than `ratio` times the same mean between the pixels before it, and more
 * than `ratio` times that between the pixels after it. Where fewer than two pixels lie before or
 * after, none stands out. value: float32 (images, channels, height, width); keys: (images, 1,
 * height, width). */
JPEGRT_API jpegrt_status jpegrt_find_blocking_edges(const jpegrt_blocking_edges_options* options,
                                                    const float* value, uint8_t* keys);

#ifdef __cplusplus
}
#endif
#endif
