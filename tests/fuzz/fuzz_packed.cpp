// Fuzz target: any bytes as a packed stream, and any bytes as blocks to pack.

#include <cstdlib>
#include <cstring>
#include <vector>

#include "jpegrt.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

// Memory of exactly `count` values, so that one too many is found.
template <typename T>
std::vector<T> Exactly(size_t count) {
  return std::vector<T>(count);
}

// Packs and unpacks; the blocks must be the same again, in no more bytes than promised.
void RoundTrip(const std::vector<int16_t>& blocks, uint32_t rows, uint32_t columns) {
  const jpegrt_blocks dense = {blocks.data(), nullptr, rows, columns, columns};
  const size_t bound = jpegrt_packed_bound(rows, columns);
  auto room = Exactly<uint8_t>(bound);
  size_t size = 0;
  Require(jpegrt_pack_blocks(&dense, room.data(), bound, &size) == JPEGRT_OK && size <= bound);
  const std::vector<uint8_t> stream(room.begin(), room.begin() + static_cast<std::ptrdiff_t>(size));
  jpegrt_packed packed;
  Require(jpegrt_packed_read_header(stream.data(), size, &packed) == JPEGRT_OK);
  Require(packed.rows == rows && packed.columns == columns);
  Require(jpegrt_packed_check(&packed) == JPEGRT_OK);
  auto unpacked = Exactly<int16_t>(blocks.size());
  Require(jpegrt_blocks_from_packed(&packed, unpacked.data()) == JPEGRT_OK);
  Require(unpacked == blocks);
}

void Decode(const uint8_t* bytes, size_t size) {
  jpegrt_packed packed;
  if (jpegrt_packed_read_header(bytes, size, &packed) != JPEGRT_OK) return;
  uint16_t table[64];
  for (uint16_t k = 0; k < 64; ++k) table[k] = static_cast<uint16_t>(k + 1);
  packed.table = table;
  const size_t values = 64 * static_cast<size_t>(packed.rows) * packed.columns;
  Require(values / 64 <= size);  // no more memory is asked for than that
  const jpegrt_status status = jpegrt_packed_check(&packed);
  Require(status == JPEGRT_OK || status == JPEGRT_ERR_DAMAGED);

  auto blocks = Exactly<int16_t>(values);
  Require(jpegrt_blocks_from_packed(&packed, blocks.data()) == status);
  auto floats = Exactly<float>(values);
  Require(jpegrt_spectrum_from_packed(&packed, 1, floats.data()) == status);
  Require(jpegrt_coefficient_plane_from_packed(&packed, 1, floats.data()) == status);
  for (const uint32_t side : {1u, 2u, 8u})
    Require(jpegrt_cells_from_packed(&packed, side, side, 1, floats.data()) == status);
  auto samples = Exactly<uint8_t>(values);
  Require(jpegrt_samples_from_packed(&packed, samples.data()) == status);
  if (status == JPEGRT_OK) RoundTrip(blocks, packed.rows, packed.columns);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  Decode(bytes, size);
  if (size >= 128) {
    const auto columns = static_cast<uint32_t>(size / 128);
    std::vector<int16_t> blocks(64 * static_cast<size_t>(columns));
    std::memcpy(blocks.data(), bytes, 2 * blocks.size());
    RoundTrip(blocks, 1, columns);
    RoundTrip(blocks, columns, 1);
  }
  return 0;
}
