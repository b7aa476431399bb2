#include "fat_binaries.h"

namespace jpegrt::cuda {

#if defined(JPEGRT_FAT_BINARIES)

// The assembler reads the file itself: no array of a million numbers for the compiler.
#define JPEGRT_EMBED(name)                       \
  __asm__(                                       \
      ".pushsection .rodata\n"                   \
      ".balign 16\n"                             \
      "jpegrt_fat_binary_" #name                 \
      ":\n"                                      \
      ".incbin \"" JPEGRT_FAT_BINARIES "/" #name \
      ".fatbin\"\n"                              \
      ".popsection\n");                          \
  extern "C" __attribute__((visibility("hidden"))) const unsigned char jpegrt_fat_binary_##name[];

JPEGRT_EMBED(unpack)
JPEGRT_EMBED(project)
JPEGRT_EMBED(pixels)
JPEGRT_EMBED(upsample)
JPEGRT_EMBED(blocking_edges)
JPEGRT_EMBED(non_local)

const std::vector<FatBinary>& FatBinaries() {
  static const std::vector<FatBinary> all = {
      {jpegrt_fat_binary_unpack,
       {"coefficients_f32_from_blocks", "coefficients_f16_from_blocks", "cells_f32_from_blocks",
        "cells_f16_from_blocks", "samples_u8_from_blocks", "coefficients_f32_from_packed",
        "coefficients_f16_from_packed", "cells_f32_from_packed", "cells_f16_from_packed",
        "samples_u8_from_packed"}},
      {jpegrt_fat_binary_project,
       {"projected_f32_from_blocks", "projected_f16_from_blocks", "projected_f32_from_packed",
        "projected_f16_from_packed"}},
      {jpegrt_fat_binary_pixels,
       {"pixels_u8_from_samples", "pixels_u16_from_samples", "pixels_u8_from_cells_f32",
        "pixels_u16_from_cells_f32", "pixels_u8_from_cells_f16", "pixels_u16_from_cells_f16"}},
      {jpegrt_fat_binary_upsample, {"cells_f32_from_samples"}},
      {jpegrt_fat_binary_blocking_edges, {"blocking_edges_f32", "blocking_edges_f16"}},
      {jpegrt_fat_binary_non_local,
       {"non_local_f32", "non_local_f16", "fold_patches_f32", "fold_patches_f16"}},
  };
  return all;
}

#else

const std::vector<FatBinary>& FatBinaries() {
  static const std::vector<FatBinary> none;
  return none;
}

#endif

}  // namespace jpegrt::cuda
