/* jpegrt.h - C ABI of the native core: JPEG coefficients in, restored pixels out.
 *
 * Rules
 *   Handles are opaque. `_create` writes one, `_destroy` takes NULL.
 *   Every call that can fail returns a jpegrt_status; the sentence that explains it is kept in the
 *   handle (`_message`) until the next call on it. A `_create` or `_open` that fails leaves no
 *   handle: jpegrt_create_message has its sentence. Nothing is printed, nothing aborts.
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
  JPEGRT_ERR_INTERNAL = 8,
  JPEGRT_ERR_BUNDLE = 9,     /* a bundle, or a file of it, is missing, not valid or was changed */
  JPEGRT_ERR_NO_DEVICE = 10, /* no CUDA driver, no such device, or built without CUDA kernels */
  JPEGRT_ERR_CUDA = 11       /* a call of the CUDA driver failed */
} jpegrt_status;

/* major * 1000000 + minor * 1000 + patch */
JPEGRT_API uint32_t jpegrt_version(void);

/* The libjpeg this library was compiled against, e.g. "libjpeg-turbo 2.1.5". Static storage. */
JPEGRT_API const char* jpegrt_libjpeg_version(void);

/* libjpeg's own decode of a JPEG, as any program would call it: what a restore's time is compared
 * with. channels: 1 for luma, 3 for RGB of a JPEG of three components. Writes `height` rows of
 * `width` * `channels` bytes, `row_stride` bytes apart; nothing if the image has another size,
 * which is an invalid argument. A damaged file is decoded as far as libjpeg does, and the status
 * says so. */
JPEGRT_API jpegrt_status jpegrt_plain_decode(const uint8_t* bytes, size_t size, uint32_t width,
                                             uint32_t height, uint32_t channels, uint8_t* pixels,
                                             uint64_t row_stride);

/* Why the calling thread's last `_create` or `_open` failed; empty if it did not. Valid until that
 * thread's next such call. */
JPEGRT_API const char* jpegrt_create_message(void);

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

/* Projection: of a restored image's cells (shaped as jpegrt_cells_from_blocks writes them, scaled
 * by `scale`, above 0 and at most 2^64), those with the nearest samples whose DCT coefficients all
 * lie where quantisation gives the file's: from (q - 1/2 - slack) to (q + 1/2 + slack) steps, slack
 * 0 or more. `projected` may be `cells` itself. A block that lies there already is copied bit for
 * bit; one with a sample that is not finite, or a coefficient beyond 2^117, becomes the file's own.
 * A component is projected at its own resolution: chroma that a model returns at full resolution
 * can only be if the file has it at full resolution too (sampled 1x1). */
JPEGRT_API jpegrt_status jpegrt_project_cells(const jpegrt_blocks* blocks, uint32_t cell_width,
                                              uint32_t cell_height, float scale, float slack,
                                              const float* cells, float* projected);

/* ---- Coefficients: a JPEG's entropy-decoded content -------------------------------------- */

typedef enum jpegrt_colour {
  JPEGRT_COLOUR_GREY = 0,
  JPEGRT_COLOUR_YCBCR = 1,
  JPEGRT_COLOUR_RGB = 2,
  JPEGRT_COLOUR_CMYK = 3,
  JPEGRT_COLOUR_YCCK = 4 /* C, M and Y as Y, Cb and Cr of what they leave of R, G and B; and K */
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
  uint32_t components;    /* 1, 3 or, of CMYK and YCCK, 4 */
  jpegrt_colour colour;
  jpegrt_coding coding;
  uint32_t arithmetic;       /* 1 if arithmetic-coded, 0 if Huffman */
  uint32_t restart_interval; /* MCUs, 0 = none */
  uint32_t warnings;         /* complaints of the decoder that allow_damaged let pass */
  uint32_t inverted; /* of CMYK and YCCK: 1 if 0 stands for all ink, as in files with Adobe's
                      * marker, which nearly all are; 0 if for none */
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

/* ---- Packed coefficients: most of them are zero ------------------------------------------ */

/* A stream of format version 1, which kernels/README.md describes: one component's blocks,
 * decodable from any multiple of 32 blocks on. It holds no quantisation table. */
typedef struct jpegrt_packed {
  const uint8_t* data;   /* at any address */
  size_t size;           /* bytes */
  const uint16_t* table; /* 64 quantisation steps, raster order; NULL where none are needed */
  uint32_t rows; /* blocks; a stream that says otherwise is refused as an invalid argument */
  uint32_t columns;
} jpegrt_packed;

/* Bytes that packing rows x columns blocks may need: dense int16 and the index. 0 if there are no
 * blocks or more than 2^26, which the format cannot hold. */
JPEGRT_API size_t jpegrt_packed_bound(uint32_t rows, uint32_t columns);

/* Packs blocks, whose table may be NULL, into `packed`; `capacity` is at least the bound, and *size
 * becomes the stream's. The same blocks give the same bytes on every machine. */
JPEGRT_API jpegrt_status jpegrt_pack_blocks(const jpegrt_blocks* blocks, uint8_t* packed,
                                            size_t capacity, size_t* size);

/* The calls below take streams from anywhere: none reads or writes outside of what it was given,
 * whatever the bytes. JPEGRT_ERR_DAMAGED: not a sound stream; JPEGRT_ERR_UNSUPPORTED: of another
 * version of the format. An output is then unspecified. */

/* Sets data, size, rows and columns of *packed from the stream's header, and table to NULL. The
 * runs are not looked at. On an error *packed is unchanged. */
JPEGRT_API jpegrt_status jpegrt_packed_read_header(const uint8_t* data, size_t size,
                                                   jpegrt_packed* packed);

/* Goes through the whole stream. One that passes can be decoded without any further check. */
JPEGRT_API jpegrt_status jpegrt_packed_check(const jpegrt_packed* packed);

/* Blocks, int16 (rows, columns, 64). */
JPEGRT_API jpegrt_status jpegrt_blocks_from_packed(const jpegrt_packed* packed, int16_t* blocks);

/* What the calls of the same names make of dense blocks, bit for bit. They need a table. */
JPEGRT_API jpegrt_status jpegrt_spectrum_from_packed(const jpegrt_packed* packed, float scale,
                                                     float* spectrum);
JPEGRT_API jpegrt_status jpegrt_coefficient_plane_from_packed(const jpegrt_packed* packed,
                                                              float scale, float* plane);
JPEGRT_API jpegrt_status jpegrt_cells_from_packed(const jpegrt_packed* packed, uint32_t cell_width,
                                                  uint32_t cell_height, float scale, float* cells);
JPEGRT_API jpegrt_status jpegrt_samples_from_packed(const jpegrt_packed* packed, uint8_t* samples);

/* As jpegrt_coefficients_read, but packs the blocks as they are decoded: image->component[c].blocks
 * has no data, and packed[c] (room for JPEGRT_MAX_COMPONENTS) is that component's stream, with its
 * table. The streams belong to the handle and are overwritten by its next read. */
JPEGRT_API jpegrt_status jpegrt_coefficients_read_packed(jpegrt_coefficients* coefficients,
                                                         const uint8_t* bytes, size_t size,
                                                         const jpegrt_read_options* options,
                                                         jpegrt_image* image,
                                                         jpegrt_packed* packed);

/* ---- Engine: what runs a network --------------------------------------------------------- */

typedef enum jpegrt_dtype {
  JPEGRT_FLOAT32 = 0,
  JPEGRT_FLOAT16 = 1,
  JPEGRT_UINT8 = 2,
  JPEGRT_UINT16 = 3
} jpegrt_dtype;
typedef enum jpegrt_device { JPEGRT_DEVICE_CPU = 0, JPEGRT_DEVICE_CUDA = 1 } jpegrt_device;

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
 *   session that is running it are refused, but for jpegrt_session_timings.
 *   All tensors of a session are on its device; there they begin at multiples of 256 bytes.
 *   `stream` is the CUDA stream that device tensors are read and written on: enqueue there. It is
 *   the caller's, or the session's own for pixels on the host; NULL is the default stream. The
 *   session's CUDA context is then the thread's current one. On the CPU the stream is NULL.
 *   Return 0 when the outputs are written or, on a device, will be by what is enqueued. Anything
 *   else stops the pipeline, which returns JPEGRT_ERR_ENGINE with the text left in `message` (at
 *   most message_size bytes with the NUL).
 * `destroy` may be NULL; it is called once, by jpegrt_session_destroy, and nothing after it, while
 * the session's context and its own stream are still there. */
typedef struct jpegrt_engine {
  uint32_t struct_size;
  void* user;
  int (*run)(void* user, const char* graph, const jpegrt_tensor* inputs, size_t n_inputs,
             const jpegrt_tensor* outputs, size_t n_outputs, void* stream, char* message,
             size_t message_size);
  void (*destroy)(void* user);
} jpegrt_engine;

/* ---- Model: which tensors a network takes ------------------------------------------------ */

typedef enum jpegrt_domain {
  JPEGRT_DOMAIN_CELLS = 0,   /* JPEGs only: what their coefficients say, before any rounding */
  JPEGRT_DOMAIN_LUMA = 1,    /* pixels: their luma */
  JPEGRT_DOMAIN_RGB = 2,     /* pixels: R, G and B */
  JPEGRT_DOMAIN_SPECTRAL = 3 /* JPEGs only: luma's dequantised coefficients */
} jpegrt_domain;

/* A graph on cells restores images of one sampling. Its tensors, with r = cell_px, on an image of
 * which luma is padded to H x W (whole MCUs), cells scaled by the model's `scale`:
 *   in  luma   (1, r * r, H / r, W / r)
 *   in  chroma (1, 2 * r * r / (h * v), H / r, W / r)   Cb's cells, then Cr's; absent in grey
 *   in  steps  (1, 64 * components)                     quantisation steps, raster order, Y Cb Cr
 *   out luma_restored   (1, r * r, H / r, W / r)
 *   out chroma_restored (1, 2 * r * r, H / r, W / r)    full resolution; absent in grey
 *
 * A spectral model has one graph, of 1 component. On a component of R x C blocks:
 *   in  spectrum      (1, 64, R, C)     as jpegrt_spectrum_from_blocks writes it, by the `scale`
 *   out luma_restored (1, 1, 8 * R, 8 * C)              centred samples times `scale`
 * Cb and Cr go around it as a plain decoder makes them, and so does what is subsampled of R, G and
 * B. A JPEG whose luma is subsampled is refused.
 *
 * Of YCCK, Y, Cb and Cr are restored as those of any colour image, and K as luma of a grey one; R,
 * G and B, and C, M, Y and K, one by one as luma. Models see all of them as light: inks that are
 * stored as more for more ink are negated on the way in, and again on the way out.
 *
 * A graph on pixels restores images of any origin. Its tensors, with C = components and e =
 * enlargement, on an image padded to H x W by the model's size rule with its outermost pixels,
 * values centred (level - 128) and multiplied by the model's `scale`:
 *   in  image          (1, C, H, W)
 *   out image_restored (1, C, e * H, e * W)
 * Domain rgb has a graph of 3 components, R G B, and may have one of 1 for grey images; without
 * that one, grey images are given three times, and become the luma of what comes out. Domain luma
 * has one graph, of 1 component: it sees the luma of RGB pixels (T.871, section 7) and the Y of
 * JPEGs that have one. Of CMYK and YCCK they get the light that C, M and Y leave as R, G and B, and
 * what K leaves as grey. Chroma goes around it, in float, and is enlarged by cubic convolution
 * (Keys, a = -1/2, pixel centres aligned, the nearest samples beyond the edges).
 *
 * An unfolded model (CISR) is of domain rgb and has four graphs of 3 components, around the
 * non-local operator. With all tensors (1, 3, H, W), but `width`, h of that operator, (1, 1, H, W),
 * and `high` (1, 3, e * H, e * W), which begins as `image` enlarged as chroma is above, they run
 * `unfoldings` times in turn:
 *   arm_guide  in high                  out guide, width
 *   arm        in image, high, filtered out low             filtered: `image` by `guide`
 *   rem_guide  in low                   out width
 *   rem        in image, low, filtered  out high            filtered: `image` by `low`
 * Keys of the operator are those of jpegrt_find_blocking_edges for `image`, blocks from its corner,
 * ratio 2, least_step one level. Without a window_px, time grows with the square of H * W, and
 * images of more than 2^18 pixels are refused. */
typedef struct jpegrt_graph {
  const char* name;
  uint32_t components;         /* 1: grey, 3: Y, Cb, Cr */
  uint32_t chroma_h, chroma_v; /* luma samples per chroma sample, across and down; 1 in grey */
} jpegrt_graph;

/* It may end before `receptive_field_px`, as struct_size says: it once did. */
typedef struct jpegrt_model {
  uint32_t struct_size;
  uint32_t cell_px; /* r: 1, 2, 4 or 8; r / chroma_h and r / chroma_v are whole in every graph */
  float scale;      /* centred samples are multiplied by it on the way in, divided on the way out */
  uint32_t n_graphs;
  const jpegrt_graph* graphs; /* copied; on cells a grey graph is required */
  jpegrt_domain domain;
  /* Of models on pixels; 0 is 1, which others have everywhere. cell_px is 1 but on cells. */
  uint32_t enlargement; /* how often the output is as wide and as high as the image; at most 4 */
  uint32_t minimum_px;  /* the least width and height that the network takes; at most 4096 */
  uint32_t multiple_px; /* and what they have to be a multiple of; at most 1024 */
  /* Of unfolded models, else 0. */
  uint32_t unfoldings; /* at most 64 */
  uint32_t window_px;  /* as in jpegrt_non_local_options; at most 65535 */
  /* How many pixels of the image away something can change a restored pixel, to either side; at
   * most 65535. 0: anything can, anywhere; such a model restores images as a whole only. */
  uint32_t receptive_field_px;
} jpegrt_model;

/* ---- Bundle: a model in a folder --------------------------------------------------------- */

/* `manifest.json`, one ONNX file for each graph and precision, and one of the weights that several
 * of these share (ONNX's external data), as `jpegrt export` writes them. Strings and structs that a
 * bundle hands out belong to it and live as long as it. */
typedef struct jpegrt_bundle jpegrt_bundle;

/* Reads and checks the folder's manifest. The graphs are read, and compared with the SHA-256 that
 * the manifest lists, when they are asked for. `folder` is UTF-8. */
JPEGRT_API jpegrt_status jpegrt_bundle_open(const char* folder, jpegrt_bundle** out);
/* What was made from a bundle (engines, sessions) outlives it. */
JPEGRT_API void jpegrt_bundle_destroy(jpegrt_bundle* bundle);
JPEGRT_API const char* jpegrt_bundle_message(const jpegrt_bundle* bundle);

JPEGRT_API const char* jpegrt_bundle_model_name(const jpegrt_bundle* bundle);
/* What jpegrt_session_create takes. */
JPEGRT_API const jpegrt_model* jpegrt_bundle_model(const jpegrt_bundle* bundle);
/* The precisions, in the manifest's order; NULL from the number of them on. */
JPEGRT_API const char* jpegrt_bundle_precision(const jpegrt_bundle* bundle, uint32_t index);
JPEGRT_API const char* jpegrt_bundle_default_precision(const jpegrt_bundle* bundle);

/* One graph as an ONNX file that stands alone, of checked files: shared weights are in it, and one
 * that wants any other file is refused. precision NULL: the default. The bytes belong to the bundle
 * and live until the next call on it. For engines of the caller's own. */
JPEGRT_API jpegrt_status jpegrt_bundle_read_graph(jpegrt_bundle* bundle, const char* graph,
                                                  const char* precision, const uint8_t** bytes,
                                                  size_t* size);

/* ---- Engine modules: engines in shared objects ------------------------------------------- */

typedef struct jpegrt_engine_options {
  uint32_t struct_size;
  uint32_t threads;      /* that run the network, at most 1024; 0 = one per core */
  const char* precision; /* one of the bundle's, or of the module's own; NULL = the default */
  const char* provider;  /* the vendor library's execution provider; NULL = the module's first */
  const char* library;   /* path of the vendor's library; NULL = where the module looks */
  uint32_t device_index; /* which GPU, for providers that run on one */
  const char* engines;   /* folder of built engines, for modules that run such; NULL = theirs */
} jpegrt_engine_options;

/* Opens a module and has it make an engine for the bundle, in a struct that jpegrt_session_create
 * takes. `module` is a path if it contains a slash; else the name of one that is beside this
 * library or where the system looks for libraries: "onnxruntime" is libjpegrt_onnxruntime.so.
 * options may be NULL.
 *
 * The module onnxruntime runs graphs with ONNX Runtime 1.20 or newer, opened at run time: the
 * library that options or the environment variable JPEGRT_ONNXRUNTIME name, else the system's
 * libonnxruntime.so.1. Providers: CPU, CUDA, TensorRT; one that ONNX Runtime does not take is an
 * error, it is never replaced by another; what TensorRT does not take of a graph runs on CUDA. A
 * CUDA session needs CUDA or TensorRT, with a device_index that its handle is attached to by
 * ordinal. A graph is then loaded for the stream that it first runs on, and again when that
 * changes, which takes as long as the first time: keep to one stream. It must be idle before a
 * restore on another, and must outlive the engine or the next such restore.
 *
 * The module tensorrt runs the engines that `jpegrt build` made, in fp32, fp16 or int8, on sessions
 * on CUDA, with the TensorRT that built them: full or lean, of the major version whose headers the
 * module was compiled with, opened at run time. It is the library that options or the environment
 * variable JPEGRT_TENSORRT name, else the system's libnvinfer, or libnvinfer_lean. Engines are
 * sought in the folder that options name, else in `engines` in the bundle's, then in
 * $XDG_CACHE_HOME/jpegrt/engines/MODEL (by default in ~/.cache). One that is
 * missing, not whole, built from other graphs, by another version or for another GPU is refused
 * with the command that builds it, and so is an image that no profile of its engine takes. A
 * restore waits on its stream for the one before it, whatever stream that was on; the memory for
 * activations is the pool's, as a session's is. The one provider is TensorRT; threads do not
 * matter. The module tensorrt_rtx is the same for TensorRT for RTX: libtensorrt_rtx, and
 * JPEGRT_TENSORRT_RTX. */
JPEGRT_API jpegrt_status jpegrt_engine_open(const char* module, const jpegrt_bundle* bundle,
                                            const jpegrt_engine_options* options,
                                            jpegrt_engine* out);

#define JPEGRT_ENGINE_MODULE_ABI 2

/* What a module is asked for. The strings live as long as the engine. */
typedef struct jpegrt_engine_request {
  uint32_t struct_size;
  uint32_t abi;     /* JPEGRT_ENGINE_MODULE_ABI of the caller */
  uint32_t threads; /* at least 1 */
  uint32_t device_index;
  const char* provider; /* or NULL */
  const char* library;  /* or NULL */
  const char* engines;  /* or NULL */
  const char* folder;   /* the bundle's */
  const char* model;    /* names, for messages */
  const char* precision;
  /* Reads one of the bundle's graphs in that precision, as jpegrt_bundle_read_graph does. To be
   * called with `bundle` from the module's open or its engine's `run`; the bytes live until the
   * next call, or until that function returns. A failure leaves its sentence in `message`. */
  jpegrt_status (*read_graph)(void* bundle, const char* graph, const uint8_t** bytes, size_t* size,
                              char* message, size_t message_size);
  /* The SHA-256 that the manifest lists for a file of the bundle, as 64 hexadecimal digits; NULL if
   * it lists none. */
  const char* (*file_sha256)(void* bundle, const char* file);
  void* bundle;
} jpegrt_engine_request;

/* The one function that a module exports, as `jpegrt_engine_module_open`. It refuses an `abi` that
 * it does not know, copies what it needs of the request, and fills `engine`. When it fails it
 * leaves nothing to destroy, and its sentence in `message`.
 * A module that runs files of its own instead of the bundle's graphs may also export
 * `const char* const jpegrt_engine_module_precisions[]`, which ends with NULL: `precision` is then
 * one of these, by default the bundle's default one or else the first. */
typedef jpegrt_status jpegrt_engine_module_open_function(const jpegrt_engine_request* request,
                                                         jpegrt_engine* engine, char* message,
                                                         size_t message_size);

/* ---- Session: bytes in, pixels out ------------------------------------------------------- */

/* A CUDA device with the kernels loaded: see the section CUDA. */
typedef struct jpegrt_cuda jpegrt_cuda;

/* It may end before `cuda` or before `tile_px`, as struct_size says: it once did. */
typedef struct jpegrt_session_options {
  uint32_t struct_size;
  uint32_t threads;         /* for everything but the engine, at most 1024; 0 = one per core */
  jpegrt_read_options read; /* its limit counts pixels given and, if they are more, restored ones */
  /* 1: what a model on cells or spectra restores is projected as by jpegrt_project_cells, with
   * `slack`, where a component is sampled 1x1: luma, and chroma that is not subsampled. */
  uint32_t project;
  float slack; /* steps, 0 or more */
  /* NULL: everything runs on the CPU. Else a handle that is attached: the session restores there,
   * and the engine gets device tensors. For plain decoders and models on cells or spectra,
   * and not for CMYK and YCCK, which are refused. */
  jpegrt_cuda* cuda;
  /* 0: the network sees images whole. Else it sees tiles of them, of up to this many pixels across
   * and down. Tiles overlap by the model's receptive field, and only what no edge of a tile
   * reaches is kept, so that the pixels are those of the whole image, but for the engine's
   * rounding of sums. What the network is given is then bounded, whatever the image: a tile is
   * larger only where it would be no more than overlap. It must be 0 for a model without a
   * receptive_field_px, and on a CUDA session. */
  uint32_t tile_px;
} jpegrt_session_options;

typedef struct jpegrt_timings {
  double entropy_decode_ms; /* bytes -> coefficients; 0 if they or pixels were given */
  double unpack_ms; /* coefficients or pixels -> the network's input (or samples without a model) */
  double network_ms; /* the engine */
  double pixels_ms;  /* the network's output -> interleaved pixels */
  /* On a CUDA session the first includes packing, of coefficients that were given too; the others
   * are what enqueuing took the host, and for pixels on the host the last is the wait for all. */
} jpegrt_timings;

typedef struct jpegrt_session jpegrt_session;

/* A CUDA session
 *   packs an image's coefficients when it is read or loaded, into page-locked memory of its own. It
 *   has that twice, so `read` and `load` wait for one thing only: that the device has fetched what
 *   the last read or load but one put there, if it was restored. (For an image that needs more of
 *   that memory than any before, the driver may wait for more while it is taken.) Files may so be
 *   read while those before them are in flight, on one stream or on several. The image that
 *   jpegrt_session_read returns has no coefficients.
 *   takes device memory from the stream-ordered pool for each restore and gives it back on the
 *   stream, however the restore ends: the packed streams (at most 128 bytes a block, 4 a run of 32
 *   and 36 a component; most files need twice their own size), 4 bytes for each number in the
 *   network's input and output, 64 bytes a block of components that are upsampled, and where the
 *   pixels go to the host, these. Page-locked memory: three times the largest packed image's.
 *   keeps the handle's context and kernels: the handle may be destroyed before it. What it has
 *   enqueued must have finished before the last of both is. `destroy` waits for what the device
 *   has yet to fetch. One handle serves any number of sessions, on any threads. */

/* options may be NULL. model and engine may both be NULL: the session is then a plain decoder. The
 * engine struct is copied, and destroyed with the session, also when this call fails. */
JPEGRT_API jpegrt_status jpegrt_session_create(const jpegrt_session_options* options,
                                               const jpegrt_model* model,
                                               const jpegrt_engine* engine, jpegrt_session** out);

/* A session in one call: opens the bundle in `folder` and the engine module, for its graphs. Engine
 * threads of 0 are as many as the session's. Both options may be NULL. */
JPEGRT_API jpegrt_status jpegrt_session_open(const char* folder, const char* module,
                                             const jpegrt_session_options* options,
                                             const jpegrt_engine_options* engine_options,
                                             jpegrt_session** out);
JPEGRT_API void jpegrt_session_destroy(jpegrt_session* session);
JPEGRT_API const char* jpegrt_session_message(const jpegrt_session* session);

/* Entropy-decodes; `image` may be NULL. A model on pixels gets what a plain decoder makes of the
 * file. `restore` needs a buffer for the image's size, which models that enlarge multiply:
 * jpegrt_session_output_size tells it for all of them. */
JPEGRT_API jpegrt_status jpegrt_session_read(jpegrt_session* session, const uint8_t* bytes,
                                             size_t size, jpegrt_image* image);

/* Instead of bytes, coefficients: an image as jpegrt_coefficients_read fills it, or of the caller's
 * making. Its blocks and tables must stay as they are until it is restored. `arithmetic`, `coding`,
 * `restart_interval` and `warnings` are not looked at. */
JPEGRT_API jpegrt_status jpegrt_session_load(jpegrt_session* session, const jpegrt_image* image);

/* A second way in, for models of the domain luma or rgb: 8-bit pixels of any origin, such as a
 * decoded WebP or a camera's buffer. `channels` is 1 (grey) or 3 (R G B, interleaved); rows are
 * row_stride bytes apart. The pixels must stay as they are until they are restored. Sessions
 * without such a model refuse them. */
JPEGRT_API jpegrt_status jpegrt_session_load_pixels(jpegrt_session* session, const uint8_t* pixels,
                                                    uint32_t width, uint32_t height,
                                                    uint32_t channels, size_t row_stride);

typedef struct jpegrt_pixel_size {
  uint32_t width, height;
  uint32_t channels; /* 1, 3 or 4 */
} jpegrt_pixel_size;

/* Of the pixels that `restore` will write for the image last read or loaded. */
JPEGRT_API jpegrt_status jpegrt_session_output_size(jpegrt_session* session,
                                                    jpegrt_pixel_size* size);

/* Restores the image last read or loaded into uint8 pixels: height rows of width pixels, one byte
 * each for grey, R G B, or C M Y K of a JPEG of CMYK or YCCK, 0 for no ink and 255 for all, however
 * the file stores them; rows are row_stride bytes apart. */
JPEGRT_API jpegrt_status jpegrt_session_restore(jpegrt_session* session, uint8_t* pixels,
                                                size_t row_stride);

/* The same in uint16 pixels of the whole range, in which 257 is one level of 8 bits: rounded half
 * up, clamped, NaN is 0, from what the network computed and never by way of 8 bits. Without a model
 * they are the plain decoder's, times 257. row_stride is in bytes too, and even. */
JPEGRT_API jpegrt_status jpegrt_session_restore16(jpegrt_session* session, uint16_t* pixels,
                                                  size_t row_stride);

/* The same into device pixels, uint8 or uint16, of a CUDA session: enqueues all of it on the
 * caller's stream (NULL: the default stream) and waits for nothing. The image stays the session's,
 * and may be restored again, on any stream. On a CUDA session the two calls above, whose pixels are
 * on the host, run on a stream of the session's own and wait for it. */
JPEGRT_API jpegrt_status jpegrt_session_restore_device(jpegrt_session* session, void* pixels,
                                                       size_t row_stride, jpegrt_dtype dtype,
                                                       void* stream);

/* Strips: an image's rows of tiles, from its top, each of the whole width. They restore an image of
 * any size a few rows at a time. Without a tile_px the whole image is one strip. */
typedef struct jpegrt_strip {
  uint32_t first_row; /* of the restored image */
  uint32_t rows;      /* 0 from the number of strips on */
} jpegrt_strip;

JPEGRT_API jpegrt_status jpegrt_session_strip(jpegrt_session* session, uint32_t index,
                                              jpegrt_strip* strip);

/* Restores one strip, in any order, into uint8 or uint16 pixels on the host, as
 * jpegrt_session_restore and _restore16 do: the same pixels. */
JPEGRT_API jpegrt_status jpegrt_session_restore_strip(jpegrt_session* session, uint32_t index,
                                                      void* pixels, size_t row_stride,
                                                      jpegrt_dtype dtype);

/* Of the last read and restore, or all strips restored since the read. */
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
 * dtypes; the result does not depend on the number of threads. Time grows with the product of
 * queries and keys. Takes at most 48 * (width + 2) * (height + 3) bytes of memory, 116 more for
 * each pixel with a key of 0, and 2048 * (width + 2) + 2^18 for each thread; with window_px, rows
 * count as window_px longer, or twice as long if that is less. */
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

/* ---- CUDA: the kernels on a GPU ----------------------------------------------------------- */

/* The driver is opened when a handle is attached, never linked. Calls enqueue on the caller's
 * stream (a CUstream or cudaStream_t; NULL is the default stream) and return: none waits for the
 * device, and what they read on the host may be changed as soon as they return. Device memory is
 * the caller's, and must stay as it is until the stream has got there. What is known before a
 * launch to be wrong is refused; a kernel that fails later is the stream's error, as usual. */
#define JPEGRT_CUDA_CURRENT_CONTEXT (-1)

JPEGRT_API jpegrt_status jpegrt_cuda_create(jpegrt_cuda** out);
/* The context that it was attached to must still be there, and what was enqueued with it be done:
 * its kernels are unloaded, unless a session keeps them. */
JPEGRT_API void jpegrt_cuda_destroy(jpegrt_cuda* cuda);
JPEGRT_API const char* jpegrt_cuda_message(const jpegrt_cuda* cuda);

/* Loads the kernels into the primary context of a device, by its ordinal, or into the context that
 * is the calling thread's current one. All later calls work in that context, from any thread. What
 * it was attached to before is left first, as by _destroy, also if this fails. Opens
 * libcuda.so.1, or the library that the environment variable JPEGRT_CUDA_DRIVER names. */
JPEGRT_API jpegrt_status jpegrt_cuda_attach(jpegrt_cuda* cuda, int32_t device);

typedef enum jpegrt_layout {
  JPEGRT_LAYOUT_CELLS = 0,    /* as jpegrt_cells_from_blocks; float32 or float16 */
  JPEGRT_LAYOUT_SPECTRUM = 1, /* as jpegrt_spectrum_from_blocks; float32 or float16 */
  JPEGRT_LAYOUT_PLANE = 2,    /* as jpegrt_coefficient_plane_from_blocks; float32 or float16 */
  JPEGRT_LAYOUT_SAMPLES = 3   /* as jpegrt_samples_from_blocks; uint8 */
} jpegrt_layout;

/* One component to unpack. Its planes may be part of something larger, such as one image of a batch
 * or chroma behind luma: plane and pitch say where the next one and the next row of it begin. */
typedef struct jpegrt_unpacking {
  jpegrt_blocks
      blocks; /* data on the device, 16-byte aligned, or NULL if packed; table on the host */
  const void* packed; /* on the device, 4-byte aligned: a packed stream that was checked before */
  void* out;          /* on the device */
  uint64_t plane;     /* elements from one plane to the next */
  uint32_t pitch;     /* elements from one row of a plane to the next */
  uint32_t cell_width, cell_height; /* cells: samples, each 1, 2, 4 or 8; else 0 */
  /* Cells: blocks that `out` has room for, at least rows and columns; what lies beyond those is
   * filled with the nearest samples. 0 is as many as there are. */
  uint32_t grid_rows, grid_columns;
} jpegrt_unpacking;

/* Unpacks all of them, of any sizes and tables; up to 102 in one launch. Cells, spectra and planes
 * are multiplied by scale. Stores are of 16 bytes where out, plane and pitch are multiples of that
 * and rows hold whole ones. float32 results and samples equal the CPU's bit for bit; float16 are
 * those, rounded once. */
JPEGRT_API jpegrt_status jpegrt_cuda_unpack(jpegrt_cuda* cuda, const jpegrt_unpacking* components,
                                            size_t n_components, jpegrt_layout layout,
                                            jpegrt_dtype dtype, float scale, void* stream);

/* One component to project. */
typedef struct jpegrt_projection {
  jpegrt_blocks blocks; /* as in jpegrt_unpacking */
  const void* packed;   /* as in jpegrt_unpacking */
  const void* cells;    /* on the device */
  void* projected;      /* on the device, laid out as cells; it may be cells, or not overlap it */
  uint64_t plane;       /* elements from one plane to the next */
  uint32_t pitch;       /* elements from one row of a plane to the next */
  uint32_t cell_width, cell_height; /* samples, each 1, 2, 4 or 8 */
} jpegrt_projection;

/* As jpegrt_project_cells, of any number of components, of any sizes and tables; up to 102 in one
 * launch. Cells are all float32 or all float16; what lies beyond a component's blocks is neither
 * read nor written. Loads and stores are of 16 bytes where cells, projected, plane and pitch are
 * multiples of that and rows hold whole ones. float32 results equal the CPU's bit for bit; float16
 * are those of the same numbers, rounded once. */
JPEGRT_API jpegrt_status jpegrt_cuda_project_cells(jpegrt_cuda* cuda,
                                                   const jpegrt_projection* components,
                                                   size_t n_components, jpegrt_dtype dtype,
                                                   float scale, float slack, void* stream);

/* One image's full-resolution cells, as a network leaves them, and where its pixels go. */
typedef struct jpegrt_cell_image {
  const void* cells[3];   /* on the device: each component's first plane; grey has only the first */
  uint64_t plane;         /* elements from one plane to the next */
  uint32_t pitch;         /* elements from one row of a plane to the next */
  uint32_t width, height; /* pixels */
  jpegrt_colour colour;
  void* pixels;        /* on the device: interleaved, one value for grey, else R G B */
  uint64_t row_stride; /* bytes */
} jpegrt_cell_image;

/* Cells of cell_px x cell_px samples, float32 or float16, centred and multiplied by scale, become
 * uint8 pixels as a session's restore makes them, or uint16 ones, where 257 is one level of 8 bits;
 * rounded half up, clamped, NaN is 0. */
JPEGRT_API jpegrt_status jpegrt_cuda_pixels_from_cells(jpegrt_cuda* cuda,
                                                       const jpegrt_cell_image* images,
                                                       size_t n_images, uint32_t cell_px,
                                                       jpegrt_dtype cell_dtype, float scale,
                                                       jpegrt_dtype pixel_dtype, void* stream);

/* One image to decode plainly. */
typedef struct jpegrt_decoding {
  const jpegrt_image* image; /* on the host; its blocks' data as in jpegrt_unpacking */
  const void* packed[JPEGRT_MAX_COMPONENTS]; /* of components whose blocks' data is NULL */
  uint8_t* pixels;                           /* on the device: interleaved */
  uint64_t row_stride;                       /* bytes */
} jpegrt_decoding;

/* Scratch memory that jpegrt_cuda_decode needs, at most 64 bytes a block and 16 a component; 0 if
 * it refuses an image. */
JPEGRT_API uint64_t jpegrt_cuda_decode_scratch_bytes(const jpegrt_decoding* decodings,
                                                     size_t n_decodings);

/* A plain decoder: the pixels equal those of libjpeg and of a session without a model. `scratch`
 * is on the device, 16-byte aligned, or NULL: that much is then taken from the device's
 * stream-ordered pool and given back to it on the stream. */
JPEGRT_API jpegrt_status jpegrt_cuda_decode(jpegrt_cuda* cuda, const jpegrt_decoding* decodings,
                                            size_t n_decodings, void* scratch, void* stream);

/* Scratch memory that jpegrt_cuda_non_local needs: 36 bytes a sample. 0 if it refuses the options.
 */
JPEGRT_API uint64_t jpegrt_cuda_non_local_scratch_bytes(const jpegrt_non_local_options* options);

/* As jpegrt_non_local, on arrays on the device, but for `threads`, which is not looked at.
 * `scratch` as in jpegrt_cuda_decode. */
JPEGRT_API jpegrt_status jpegrt_cuda_non_local(jpegrt_cuda* cuda,
                                               const jpegrt_non_local_options* options,
                                               const void* guide, const void* value, const float* h,
                                               const uint8_t* keys, void* filtered, void* scratch,
                                               void* stream);

/* As jpegrt_find_blocking_edges, on arrays on the device: the same keys. value is float32 or
 * float16, as dtype says. */
JPEGRT_API jpegrt_status
jpegrt_cuda_find_blocking_edges(jpegrt_cuda* cuda, const jpegrt_blocking_edges_options* options,
                                const void* value, jpegrt_dtype dtype, uint8_t* keys, void* stream);

#ifdef __cplusplus
}
#endif
#endif
