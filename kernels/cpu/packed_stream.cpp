#include "packed_stream.h"

#include <algorithm>
#include <cstring>

#include "error.h"

namespace jpegrt {
namespace {

void Require(bool sound) {
  if (!sound) throw Error(JPEGRT_ERR_DAMAGED, "damaged packed coefficients");
}

// Bits set in `count` bytes.
size_t CountBits(const uint8_t* bytes, size_t count) {
  size_t bits = 0;
  for (size_t i = 0; i < count; ++i) bits += static_cast<size_t>(__builtin_popcount(bytes[i]));
  return bits;
}

}  // namespace

PackedStream::PackedStream(const uint8_t* data, size_t size) : data_(data), size_(size) {
  Require(size >= sizeof(PackedHeader));
  const auto header = LoadAs<PackedHeader>(data);
  Require(std::memcmp(header.magic, kPackedMagic, sizeof header.magic) == 0);
  if (header.version != kPackedVersion || header.run_blocks != kRunBlocks)
    throw Error(JPEGRT_ERR_UNSUPPORTED, "packed coefficients of another version");
  Require(header.zero == 0 && header.size == size && CanBePacked(header.rows, header.columns));
  rows_ = header.rows;
  columns_ = header.columns;
  runs_ = RunsOf(rows_, columns_);
  // No run has fewer bytes than blocks, so a small stream never asks for much memory.
  Require(size >= PayloadOffset(runs_) + uint64_t{rows_} * columns_);
  const uint8_t* index = data + sizeof(PackedHeader);
  const uint64_t last = LoadAs<uint32_t>(index + sizeof(uint32_t) * size_t{runs_});
  Require(LoadAs<uint32_t>(index) == 0 && PayloadOffset(runs_) + 4 * last == size);
}

size_t PackedStream::RunBlocks(uint32_t run) const {
  const uint64_t before = uint64_t{run} * kRunBlocks, all = uint64_t{rows_} * columns_;
  return static_cast<size_t>(std::min<uint64_t>(kRunBlocks, all - before));
}

PackedStream::Sections PackedStream::Locate(uint32_t run) const {
  const uint8_t* index = data_ + sizeof(PackedHeader) + sizeof(uint32_t) * size_t{run};
  const uint64_t first = 4 * uint64_t{LoadAs<uint32_t>(index)};
  const uint64_t last = 4 * uint64_t{LoadAs<uint32_t>(index + sizeof(uint32_t))};
  const size_t payload = PayloadOffset(runs_), count = RunBlocks(run);
  Require(first <= last && last <= size_ - payload && last - first <= DenseSize(count));
  const auto size = static_cast<size_t>(last - first);
  const uint8_t* groups = data_ + payload + first;
  if (size == DenseSize(count)) return {groups, nullptr, nullptr, nullptr, true};

  Require(size >= count);
  const size_t n_masks = CountBits(groups, count);
  Require(size - count >= n_masks);
  const uint8_t* masks = groups + count;
  const size_t n_values = CountBits(masks, n_masks);
  Require(size - count - n_masks >= n_values);
  const uint8_t* values = masks + n_masks;
  const uint8_t* escapes = values + n_values;
  const size_t escapes_size =
      sizeof(int16_t) * static_cast<size_t>(std::count(values, escapes, kEscape));
  const size_t rest = size - count - n_masks - n_values;
  Require(rest >= escapes_size && rest - escapes_size < 4);
  Require(std::all_of(escapes + escapes_size, groups + size, [](uint8_t b) { return b == 0; }));
  return {groups, masks, values, escapes, false};
}

void PackedStream::CheckRun(uint32_t run) const { Locate(run); }

void PackedStream::DecodeRun(uint32_t run, int16_t* blocks) const {
  const size_t count = RunBlocks(run);
  Sections at = Locate(run);
  if (at.dense) {
    std::memcpy(blocks, at.groups, DenseSize(count));
    return;
  }
  std::memset(blocks, 0, DenseSize(count));
  uint16_t dc = 0;
  for (size_t i = 0; i < count; ++i) {
    int16_t* block = blocks + 64 * i;
    for (unsigned groups = at.groups[i]; groups; groups &= groups - 1) {
      const uint8_t* zigzag = kZigzag + 8 * __builtin_ctz(groups);
      for (unsigned mask = *at.masks++; mask; mask &= mask - 1) {
        int16_t value = static_cast<int8_t>(*at.values);
        if (*at.values++ == kEscape) {
          value = LoadAs<int16_t>(at.escapes);
          at.escapes += sizeof value;
        }
        block[zigzag[__builtin_ctz(mask)]] = value;
      }
    }
    dc = static_cast<uint16_t>(dc + static_cast<uint16_t>(block[0]));
    block[0] = static_cast<int16_t>(dc);
  }
}

}  // namespace jpegrt
