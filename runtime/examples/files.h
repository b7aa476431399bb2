/* What the examples do with files: read one whole, read and write pixels as PNM. */
#ifndef JPEGRT_EXAMPLES_FILES_H_
#define JPEGRT_EXAMPLES_FILES_H_

#include <stddef.h>
#include <stdint.h>

/* The file's bytes, to be freed, or NULL with a line on stderr. */
uint8_t* read_file(const char* path, size_t* size);

/* Where the pixels of an 8-bit binary PGM or PPM lie in its bytes, rows one after another: NULL if
 * these are no whole such file. */
const uint8_t* find_pnm_pixels(const uint8_t* bytes, size_t size, uint32_t* width, uint32_t* height,
                               uint32_t* channels);

/* 8-bit pixels, rows one after another: grey (PGM) for 1 channel, R G B (PPM) for 3; CMYK is
 * refused. Returns 0, or -1 with a line on stderr, and no new file left behind. */
int write_pnm(const char* path, const uint8_t* pixels, uint32_t width, uint32_t height,
              uint32_t channels);

#endif
