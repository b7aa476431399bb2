#include "files.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void complain(const char* path) { fprintf(stderr, "%s: %s\n", path, strerror(errno)); }

uint8_t* read_file(const char* path, size_t* size) {
  FILE* file = fopen(path, "rb");
  uint8_t* bytes = NULL;
  size_t capacity = 0;
  if (!file) {
    complain(path);
    return NULL;
  }
  /* In pieces, because a pipe does not tell its size. */
  for (*size = 0;;) {
    if (*size == capacity) {
      uint8_t* grown = realloc(bytes, capacity = capacity ? 2 * capacity : 1 << 16);
      if (!grown) break;
      bytes = grown;
    }
    *size += fread(bytes + *size, 1, capacity - *size, file);
    if (feof(file)) {
      fclose(file);
      return bytes;
    }
    if (ferror(file)) break;
  }
  complain(path);
  fclose(file);
  free(bytes);
  return NULL;
}

/* Reads a number after white space and comments; 0 if there is none below 65536. */
static uint32_t next_number(const uint8_t* bytes, size_t size, size_t* at) {
  uint32_t number = 0;
  for (; *at < size && (isspace(bytes[*at]) || bytes[*at] == '#'); ++*at)
    if (bytes[*at] == '#')
      while (*at + 1 < size && bytes[*at] != '\n') ++*at;
  for (; *at < size && isdigit(bytes[*at]) && number < 65536; ++*at)
    number = 10 * number + (uint32_t)(bytes[*at] - '0');
  return number < 65536 ? number : 0;
}

const uint8_t* find_pnm_pixels(const uint8_t* bytes, size_t size, uint32_t* width, uint32_t* height,
                               uint32_t* channels) {
  size_t at = 2;
  if (size < 2 || bytes[0] != 'P' || (bytes[1] != '5' && bytes[1] != '6')) return NULL;
  *channels = bytes[1] == '5' ? 1 : 3;
  *width = next_number(bytes, size, &at);
  *height = next_number(bytes, size, &at);
  if (next_number(bytes, size, &at) != 255 || !*width || !*height) return NULL;
  ++at; /* one white space */
  if (at > size || (size - at) / *width / *channels < *height) return NULL;
  return bytes + at;
}

int write_pnm(const char* path, const uint8_t* pixels, uint32_t width, uint32_t height,
              uint32_t channels) {
  const size_t size = (size_t)width * height * channels;
  FILE* file = fopen(path, "rb");
  const int is_new = !file;
  int written;
  if (file) fclose(file);
  if (channels > 3) {
    fprintf(stderr, "%s: PNM has no CMYK\n", path);
    return -1;
  }
  file = fopen(path, "wb");
  if (!file) {
    complain(path);
    return -1;
  }
  written = fprintf(file, "P%c\n%lu %lu\n255\n", channels == 1 ? '5' : '6', (unsigned long)width,
                    (unsigned long)height) > 0 &&
            fwrite(pixels, 1, size, file) == size;
  if (fclose(file) != 0) written = 0; /* a full disk may show only here */
  if (written) return 0;
  complain(path);
  if (is_new) remove(path); /* never what was there before: it may be a device */
  return -1;
}
