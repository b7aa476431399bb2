// The packed stream of kernels/README.md: its constants and where its parts lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace jpegrt {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the stream is little endian");

constexpr char kPackedMagic[4] = {'J', 'P', 'K', 'C'};
constexpr uint16_t kPackedVersion = 1;
constexpr uint32_t kRunBlocks = 32;
constexpr uint64_t kMaxPackedBlocks = uint64_t{1} << 26;
constexpr uint8_t kEscape = 0x80;

struct PackedHeader {
  char magic[4];
  uint16_t version, run_blocks;
  uint32_t rows, columns;
  uint64_t size;  // bytes, of the whole stream
  uint64_t zero;
};
static_assert(sizeof(PackedHeader) == 32, "as the format has it");

// Raster index (8 v + u) of each zigzag position (T.81, figure A.6).
constexpr uint8_t kZigzag[64] = {0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,
                                 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6,  7,  14, 21, 28,
                                 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
                                 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

inline bool CanBePacked(uint64_t rows, uint64_t columns) {
  return rows && columns && rows <= kMaxPackedBlocks && columns <= kMaxPackedBlocks / rows;
}

// Of an image that can be packed.
inline uint32_t RunsOf(uint32_t rows, uint32_t columns) {
  return static_cast<uint32_t>((uint64_t{rows} * columns + kRunBlocks - 1) / kRunBlocks);
}

inline size_t PayloadOffset(uint32_t runs) {
  return sizeof(PackedHeader) + sizeof(uint32_t) * (size_t{runs} + 1);
}

inline size_t DenseSize(size_t blocks) { return blocks * 64 * sizeof(int16_t); }

// The most that packing can need: every run dense.
inline size_t PackedBound(uint32_t rows, uint32_t columns) {
  return PayloadOffset(RunsOf(rows, columns)) + DenseSize(size_t{rows} * columns);
}

// Streams may begin at any address.
template <typename T>
T LoadAs(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

}  // namespace jpegrt
