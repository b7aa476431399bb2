#include "pack.h"

#include <algorithm>
#include <cstring>

namespace jpegrt {

Packer::Packer() {
  RunPacker packers[kMostRunPackers];
  pack_run_ = packers[RunPackers(packers) - 1];
}

void Packer::Start(uint32_t rows, uint32_t columns, uint8_t* packed) {
  packed_ = packed;
  header_ = {};
  std::memcpy(header_.magic, kPackedMagic, sizeof header_.magic);
  header_.version = kPackedVersion;
  header_.run_blocks = kRunBlocks;
  header_.rows = rows;
  header_.columns = columns;
  payload_ = end_ = PayloadOffset(RunsOf(rows, columns));
  runs_done_ = 0;
  blocks_left_ = uint64_t{rows} * columns;
  n_pending_ = 0;
  std::memset(packed_ + sizeof header_, 0, sizeof(uint32_t));
}

void Packer::Append(const int16_t* blocks, size_t count) {
  if (n_pending_) {
    const size_t taken = std::min(count, NextRunBlocks() - n_pending_);
    std::memcpy(pending_ + 64 * n_pending_, blocks, DenseSize(taken));
    n_pending_ += taken;
    blocks += 64 * taken;
    count -= taken;
    if (n_pending_ < NextRunBlocks()) return;
    PackRun(pending_, n_pending_);
    n_pending_ = 0;
  }
  while (count && count >= NextRunBlocks()) {
    const size_t taken = NextRunBlocks();
    PackRun(blocks, taken);
    blocks += 64 * taken;
    count -= taken;
  }
  std::memcpy(pending_, blocks, DenseSize(count));
  n_pending_ = count;
}

void Packer::PackRun(const int16_t* blocks, size_t count) {
  end_ += pack_run_(blocks, count, packed_ + end_);
  blocks_left_ -= count;
  ++runs_done_;
  const auto offset = static_cast<uint32_t>((end_ - payload_) / sizeof(uint32_t));
  std::memcpy(packed_ + sizeof header_ + sizeof offset * runs_done_, &offset, sizeof offset);
}

size_t Packer::Finish() {
  while (blocks_left_) {
    const size_t count = NextRunBlocks();
    std::memset(pending_ + 64 * n_pending_, 0, DenseSize(count - n_pending_));
    PackRun(pending_, count);
    n_pending_ = 0;
  }
  header_.size = end_;
  std::memcpy(packed_, &header_, sizeof header_);
  return end_;
}

}  // namespace jpegrt
