/* Stock libjpeg as any program would call it, for benchmarks to compare with. */
#include <stdio.h>
/* jpeglib.h needs <stdio.h> before it */
#include <jpeglib.h>
#include <setjmp.h>

struct error_manager {
  struct jpeg_error_mgr base;
  jmp_buf jump;
};

static void error_exit(j_common_ptr decoder) {
  longjmp(((struct error_manager*)decoder->err)->jump, 1);
}

/* Decodes the coefficients and drops them; 0 when done. */
int read_coefficients(const unsigned char* jpeg, unsigned long size) {
  struct jpeg_decompress_struct decoder;
  struct error_manager errors;
  decoder.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = error_exit;
  if (setjmp(errors.jump)) {
    jpeg_destroy_decompress(&decoder);
    return 1;
  }
  jpeg_create_decompress(&decoder);
  jpeg_mem_src(&decoder, jpeg, size);
  jpeg_read_header(&decoder, TRUE);
  jpeg_read_coefficients(&decoder);
  jpeg_finish_decompress(&decoder);
  jpeg_destroy_decompress(&decoder);
  return 0;
}
