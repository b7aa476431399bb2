// The C ABI of packed coefficients.

#include <algorithm>

#include "guard.h"
#include "jpegrt.h"
#include "pack.h"
#include "packed_stream.h"
#include "unpack.h"

namespace {

using jpegrt::Guard;
using jpegrt::kRunBlocks;
using jpegrt::PackedStream;

bool Valid(const jpegrt_packed* packed) { return packed && packed->data; }

bool ValidCellSide(uint32_t side) { return side == 1 || side == 2 || side == 4 || side == 8; }

PackedStream Open(const jpegrt_packed& packed) {
  const PackedStream stream(packed.data, packed.size);
  if (stream.rows() != packed.rows || stream.columns() != packed.columns)
    throw jpegrt::Error(JPEGRT_ERR_INVALID_ARGUMENT, "the packed stream has other dimensions");
  return stream;
}

// Calls kernel(blocks, row, column) with pieces of block rows, each beginning at that block of the
// image and decoded into a buffer that stays in the cache.
template <typename Kernel>
jpegrt_status ForEachPiece(const jpegrt_packed* packed, const Kernel& kernel) {
  return Guard(nullptr, [&] {
    const PackedStream stream = Open(*packed);
    alignas(64) int16_t run_blocks[kRunBlocks * 64];
    uint32_t row = 0, column = 0;
    for (uint32_t run = 0; run < stream.runs(); ++run) {
      stream.DecodeRun(run, run_blocks);
      const auto count = static_cast<uint32_t>(stream.RunBlocks(run));
      for (uint32_t done = 0; done < count;) {
        const uint32_t length = std::min(count - done, packed->columns - column);
        kernel(jpegrt_blocks{run_blocks + 64 * done, packed->table, 1, length, length}, row,
               column);
        done += length;
        column += length;
        if (column == packed->columns) {
          column = 0;
          ++row;
        }
      }
    }
  });
}

}  // namespace

size_t jpegrt_packed_bound(uint32_t rows, uint32_t columns) {
  return jpegrt::CanBePacked(rows, columns) ? jpegrt::PackedBound(rows, columns) : 0;
}

jpegrt_status jpegrt_pack_blocks(const jpegrt_blocks* blocks, uint8_t* packed, size_t capacity,
                                 size_t* size) {
  if (!blocks || !blocks->data || blocks->stride < blocks->columns || !packed || !size ||
      !jpegrt::CanBePacked(blocks->rows, blocks->columns) ||
      capacity < jpegrt::PackedBound(blocks->rows, blocks->columns))
    return JPEGRT_ERR_INVALID_ARGUMENT;
  jpegrt::Packer packer;
  packer.Start(blocks->rows, blocks->columns, packed);
  for (uint32_t row = 0; row < blocks->rows; ++row)
    packer.Append(blocks->data + 64 * static_cast<size_t>(row) * blocks->stride, blocks->columns);
  *size = packer.Finish();
  return JPEGRT_OK;
}

jpegrt_status jpegrt_packed_read_header(const uint8_t* data, size_t size, jpegrt_packed* packed) {
  if (!data || !packed) return JPEGRT_ERR_INVALID_ARGUMENT;
  return Guard(nullptr, [&] {
    const PackedStream stream(data, size);
    *packed = {data, size, nullptr, stream.rows(), stream.columns()};
  });
}

jpegrt_status jpegrt_packed_check(const jpegrt_packed* packed) {
  if (!Valid(packed)) return JPEGRT_ERR_INVALID_ARGUMENT;
  return Guard(nullptr, [&] {
    const PackedStream stream = Open(*packed);
    for (uint32_t run = 0; run < stream.runs(); ++run) stream.CheckRun(run);
  });
}

jpegrt_status jpegrt_blocks_from_packed(const jpegrt_packed* packed, int16_t* blocks) {
  if (!Valid(packed) || !blocks) return JPEGRT_ERR_INVALID_ARGUMENT;
  return Guard(nullptr, [&] {
    const PackedStream stream = Open(*packed);
    for (uint32_t run = 0; run < stream.runs(); ++run)
      stream.DecodeRun(run, blocks + 64 * size_t{kRunBlocks} * run);
  });
}

jpegrt_status jpegrt_spectrum_from_packed(const jpegrt_packed* packed, float scale,
                                          float* spectrum) {
  if (!Valid(packed) || !packed->table || !spectrum) return JPEGRT_ERR_INVALID_ARGUMENT;
  const size_t pitch = packed->columns, plane = packed->rows * pitch;
  return ForEachPiece(packed, [&](const jpegrt_blocks& blocks, size_t row, size_t column) {
    jpegrt::SpectrumFromBlocks(blocks, {0, 1}, scale, spectrum + row * pitch + column, pitch,
                               plane);
  });
}

jpegrt_status jpegrt_coefficient_plane_from_packed(const jpegrt_packed* packed, float scale,
                                                   float* plane) {
  if (!Valid(packed) || !packed->table || !plane) return JPEGRT_ERR_INVALID_ARGUMENT;
  const size_t pitch = 8 * static_cast<size_t>(packed->columns);
  return ForEachPiece(packed, [&](const jpegrt_blocks& blocks, size_t row, size_t column) {
    jpegrt::CoefficientPlaneFromBlocks(blocks, {0, 1}, scale, plane + 8 * (row * pitch + column),
                                       pitch);
  });
}

jpegrt_status jpegrt_cells_from_packed(const jpegrt_packed* packed, uint32_t cell_width,
                                       uint32_t cell_height, float scale, float* cells) {
  if (!Valid(packed) || !packed->table || !cells || !ValidCellSide(cell_width) ||
      !ValidCellSide(cell_height))
    return JPEGRT_ERR_INVALID_ARGUMENT;
  const size_t across = 8 / cell_width, down = 8 / cell_height;  // cells of a block
  const size_t pitch = packed->columns * across, plane = packed->rows * down * pitch;
  return ForEachPiece(packed, [&](const jpegrt_blocks& blocks, size_t row, size_t column) {
    jpegrt::CellsFromBlocks(blocks, {0, 1}, {cell_width, cell_height}, scale,
                            cells + row * down * pitch + column * across, pitch, plane);
  });
}

jpegrt_status jpegrt_samples_from_packed(const jpegrt_packed* packed, uint8_t* samples) {
  if (!Valid(packed) || !packed->table || !samples) return JPEGRT_ERR_INVALID_ARGUMENT;
  const size_t pitch = 8 * static_cast<size_t>(packed->columns);
  return ForEachPiece(packed, [&](const jpegrt_blocks& blocks, size_t row, size_t column) {
    jpegrt::SamplesFromBlocks(blocks, {0, 1}, samples + 8 * (row * pitch + column), pitch);
  });
}
