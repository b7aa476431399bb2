/* Prints what stock libjpeg, with its own memory manager, reads from the JPEG on stdin, in native
 * byte order: uint32 width, height, components, progressive, arithmetic, restart interval; then for
 * each component uint32 h, v, rows, columns, uint16 table[64] and int16 blocks[rows][columns][64].
 */
#include <stdint.h>
#include <stdio.h>
/* jpeglib.h needs <stdio.h> before it */
#include <jpeglib.h>

static void put32(uint32_t value) { fwrite(&value, sizeof value, 1, stdout); }

int main(void) {
  struct jpeg_decompress_struct decoder;
  struct jpeg_error_mgr errors;
  jvirt_barray_ptr* arrays;
  int c;

  decoder.err = jpeg_std_error(&errors);
  jpeg_create_decompress(&decoder);
  jpeg_stdio_src(&decoder, stdin);
  jpeg_read_header(&decoder, TRUE);
  arrays = jpeg_read_coefficients(&decoder);

  put32(decoder.image_width);
  put32(decoder.image_height);
  put32((uint32_t)decoder.num_components);
  put32((uint32_t)decoder.progressive_mode);
  put32((uint32_t)decoder.arith_code);
  put32(decoder.restart_interval);
  for (c = 0; c < decoder.num_components; ++c) {
    const jpeg_component_info* component = &decoder.comp_info[c];
    JDIMENSION row;
    put32((uint32_t)component->h_samp_factor);
    put32((uint32_t)component->v_samp_factor);
    put32(component->height_in_blocks);
    put32(component->width_in_blocks);
    fwrite(component->quant_table->quantval, sizeof(UINT16), 64, stdout);
    for (row = 0; row < component->height_in_blocks; ++row) {
      JBLOCKARRAY blocks =
          decoder.mem->access_virt_barray((j_common_ptr)&decoder, arrays[c], row, 1, FALSE);
      fwrite(blocks[0], sizeof(JBLOCK), component->width_in_blocks, stdout);
    }
  }
  jpeg_finish_decompress(&decoder);
  jpeg_destroy_decompress(&decoder);
  return 0;
}
