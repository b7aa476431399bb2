// Fuzz target: any bytes as a JPEG whose coefficients are read whole and packed while they are
// read; both must say the same, of damaged files too. The readers outlive an input, so that what
// one file leaves behind meets the next.

#include <cstdlib>
#include <cstring>
#include <vector>

#include "jpegrt.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

class Reader {
 public:
  Reader() { Require(jpegrt_coefficients_create(&handle_) == JPEGRT_OK); }
  ~Reader() { jpegrt_coefficients_destroy(handle_); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  jpegrt_coefficients* handle() const { return handle_; }

 private:
  jpegrt_coefficients* handle_ = nullptr;
};

void RequireSame(const jpegrt_blocks& blocks, const jpegrt_packed& packed) {
  Require(packed.rows == blocks.rows && packed.columns == blocks.columns);
  Require(std::memcmp(packed.table, blocks.table, 64 * sizeof *packed.table) == 0);
  const size_t row_values = 64 * static_cast<size_t>(blocks.columns);
  std::vector<int16_t> unpacked(row_values * blocks.rows);
  Require(jpegrt_blocks_from_packed(&packed, unpacked.data()) == JPEGRT_OK);
  for (size_t row = 0; row < blocks.rows; ++row)
    Require(std::memcmp(unpacked.data() + row * row_values, blocks.data + 64 * row * blocks.stride,
                        row_values * sizeof(int16_t)) == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  thread_local Reader dense, packing;  // a reader is used by one thread at a time
  for (const uint32_t allow_damaged : {0u, 1u}) {
    const jpegrt_read_options options = {sizeof options, allow_damaged, 1 << 20};
    jpegrt_image image, packed_image;
    jpegrt_packed packed[JPEGRT_MAX_COMPONENTS];
    const jpegrt_status status =
        jpegrt_coefficients_read(dense.handle(), bytes, size, &options, &image);
    Require(status != JPEGRT_ERR_INTERNAL);
    Require(jpegrt_coefficients_read_packed(packing.handle(), bytes, size, &options, &packed_image,
                                            packed) == status);
    Require(std::strcmp(jpegrt_coefficients_message(dense.handle()),
                        jpegrt_coefficients_message(packing.handle())) == 0);
    if (status != JPEGRT_OK) continue;
    Require(image.components == packed_image.components && image.warnings == packed_image.warnings);
    for (uint32_t c = 0; c < image.components; ++c) {
      Require(!packed_image.component[c].blocks.data);
      RequireSame(image.component[c].blocks, packed[c]);
    }
  }
  return 0;
}
