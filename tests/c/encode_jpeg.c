/* Encodes the PGM or PPM on stdin as a JPEG on stdout, with the choices that Pillow does not offer.
 * What begins as P8, and else like a PPM, is CMYK, which is stored as it is.
 *
 * usage: encode_jpeg [quality=N] [sampling=HxV,HxV,HxV] [restart=MCUS]
 *                    [progressive] [arithmetic] [optimise] [rgb] [ycck] [unmarked] [separate]
 * rgb stores R, G and B as they are, ycck C, M and Y as YCbCr; unmarked leaves out Adobe's marker;
 * separate gives every component a scan of its own.
 */
#include <stdio.h>
/* jpeglib.h needs <stdio.h> before it */
#include <jpeglib.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char* why) {
  fprintf(stderr, "encode_jpeg: %s\n", why);
  exit(1);
}

static void set_sampling(struct jpeg_compress_struct* encoder, const char* text) {
  int c, length;
  for (c = 0; c < encoder->num_components; ++c) {
    jpeg_component_info* component = &encoder->comp_info[c];
    if (sscanf(text, "%dx%d%n", &component->h_samp_factor, &component->v_samp_factor, &length) != 2)
      fail("bad sampling factors");
    text += length;
    if (*text == ',') ++text;
  }
}

int main(int argc, char** argv) {
  struct jpeg_compress_struct encoder;
  struct jpeg_error_mgr errors;
  jpeg_scan_info scans[4];
  char kind;
  unsigned width, height;
  JSAMPROW row;
  int i;

  encoder.err = jpeg_std_error(&errors);
  jpeg_create_compress(&encoder);
  if (scanf("P%c %u %u 255", &kind, &width, &height) != 3 || getchar() == EOF) fail("not a PNM");
  encoder.image_width = width;
  encoder.image_height = height;
  encoder.input_components = kind == '5' ? 1 : kind == '8' ? 4 : 3;
  encoder.in_color_space = kind == '5' ? JCS_GRAYSCALE : kind == '8' ? JCS_CMYK : JCS_RGB;
  jpeg_set_defaults(&encoder);

  for (i = 1; i < argc; ++i)
    if (strcmp(argv[i], "rgb") == 0)
      jpeg_set_colorspace(&encoder, JCS_RGB);
    else if (strcmp(argv[i], "ycck") == 0)
      jpeg_set_colorspace(&encoder, JCS_YCCK);
  for (i = 1; i < argc; ++i) {
    const char* option = argv[i];
    int c;
    if (strncmp(option, "quality=", 8) == 0)
      jpeg_set_quality(&encoder, atoi(option + 8), TRUE);
    else if (strncmp(option, "sampling=", 9) == 0)
      set_sampling(&encoder, option + 9);
    else if (strncmp(option, "restart=", 8) == 0)
      encoder.restart_interval = (unsigned)atoi(option + 8);
    else if (strcmp(option, "progressive") == 0)
      jpeg_simple_progression(&encoder);
    else if (strcmp(option, "arithmetic") == 0)
      encoder.arith_code = TRUE;
    else if (strcmp(option, "optimise") == 0)
      encoder.optimize_coding = TRUE;
    else if (strcmp(option, "separate") == 0) {
      for (c = 0; c < encoder.num_components; ++c) {
        const jpeg_scan_info whole = {1, {0}, 0, 63, 0, 0};
        scans[c] = whole;
        scans[c].component_index[0] = c;
      }
      encoder.scan_info = scans;
      encoder.num_scans = encoder.num_components;
    } else if (strcmp(option, "unmarked") == 0)
      encoder.write_Adobe_marker = FALSE;
    else if (strcmp(option, "rgb") != 0 && strcmp(option, "ycck") != 0)
      fail(option);
  }

  jpeg_stdio_dest(&encoder, stdout);
  jpeg_start_compress(&encoder, TRUE);
  row = malloc((size_t)width * (size_t)encoder.input_components);
  while (encoder.next_scanline < height) {
    if (fread(row, (size_t)encoder.input_components, width, stdin) != width) fail("no more pixels");
    jpeg_write_scanlines(&encoder, &row, 1);
  }
  jpeg_finish_compress(&encoder);
  jpeg_destroy_compress(&encoder);
  free(row);
  return 0;
}
