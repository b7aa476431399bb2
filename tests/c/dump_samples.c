/* Prints the samples, before upsampling, that stock libjpeg decodes from the JPEG on stdin: for
 * each component uint32 rows, columns in native byte order, then uint8 samples[rows][columns],
 * padded to whole blocks.
 */
#include <stdint.h>
#include <stdio.h>
/* jpeglib.h needs <stdio.h> before it */
#include <jpeglib.h>
#include <stdlib.h>

#define MAX_ROWS (MAX_SAMP_FACTOR * DCTSIZE)

static void put32(uint32_t value) { fwrite(&value, sizeof value, 1, stdout); }

int main(void) {
  struct jpeg_decompress_struct decoder;
  struct jpeg_error_mgr errors;
  JSAMPLE* planes[MAX_COMPONENTS];
  JSAMPROW rows[MAX_COMPONENTS][MAX_ROWS];
  JSAMPARRAY components[MAX_COMPONENTS];
  JDIMENSION mcu_row;
  int c, y;

  decoder.err = jpeg_std_error(&errors);
  jpeg_create_decompress(&decoder);
  jpeg_stdio_src(&decoder, stdin);
  jpeg_read_header(&decoder, TRUE);
  decoder.raw_data_out = TRUE;
  decoder.do_block_smoothing = FALSE;
  jpeg_start_decompress(&decoder);

  for (c = 0; c < decoder.num_components; ++c) {
    const jpeg_component_info* component = &decoder.comp_info[c];
    /* libjpeg writes whole MCU rows. */
    const size_t padded_rows = component->height_in_blocks + (size_t)component->v_samp_factor;
    planes[c] = calloc(padded_rows * DCTSIZE, component->width_in_blocks * DCTSIZE);
    components[c] = rows[c];
  }
  for (mcu_row = 0; decoder.output_scanline < decoder.output_height; ++mcu_row) {
    for (c = 0; c < decoder.num_components; ++c) {
      const jpeg_component_info* component = &decoder.comp_info[c];
      const int height = component->v_samp_factor * DCTSIZE;
      for (y = 0; y < height; ++y)
        rows[c][y] = planes[c] + ((size_t)mcu_row * (size_t)height + (size_t)y) *
                                     component->width_in_blocks * DCTSIZE;
    }
    jpeg_read_raw_data(&decoder, components, MAX_ROWS);
  }
  for (c = 0; c < decoder.num_components; ++c) {
    const jpeg_component_info* component = &decoder.comp_info[c];
    put32(component->height_in_blocks * DCTSIZE);
    put32(component->width_in_blocks * DCTSIZE);
    fwrite(planes[c], component->width_in_blocks * DCTSIZE, component->height_in_blocks * DCTSIZE,
           stdout);
    free(planes[c]);
  }
  jpeg_finish_decompress(&decoder);
  jpeg_destroy_decompress(&decoder);
  return 0;
}
