// Packed streams (kernels/README.md) that are not trusted: checked, then decoded run by run.
#pragma once

#include <cstddef>
#include <cstdint>

#include "jpegrt.h"
#include "packed_format.h"

namespace jpegrt {

class PackedStream {
 public:
  // Checks the header and that the index is all there. Throws Error.
  PackedStream(const uint8_t* data, size_t size);

  uint32_t rows() const { return rows_; }
  uint32_t columns() const { return columns_; }
  uint32_t runs() const { return runs_; }
  size_t RunBlocks(uint32_t run) const;

  // Throws Error if the run is none, or is not sound.
  void CheckRun(uint32_t run) const;

  // Into RunBlocks(run) blocks of 64. Throws Error likewise.
  void DecodeRun(uint32_t run, int16_t* blocks) const;

 private:
  // Where a run and its sections lie.
  struct Sections {
    const uint8_t *groups, *masks, *values, *escapes;
    bool dense;
  };

  Sections Locate(uint32_t run) const;

  const uint8_t* data_;
  size_t size_;
  uint32_t rows_, columns_, runs_;
};

}  // namespace jpegrt
