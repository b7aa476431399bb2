// Coefficient memory that outlives an image.
//
// libjpeg keeps coefficients in "virtual block arrays" that it allocates anew for every image; on
// large images the page faults cost more than the decoding. The arrays' three methods in
// jpeg_memory_mgr are public and their type is opaque to libjpeg's decoder, so we hand it arrays of
// our own: one contiguous buffer per component, kept from image to image. If the decoder goes
// through its rows only once, the arrays can also be a window of a few rows that moves down the
// image and never leaves the cache: each row is then handed on when it is done.
#pragma once

#include <cstdio>
// jpeglib.h needs <cstdio> before it
#include <jpeglib.h>

#include <cstdlib>
#include <memory>
#include <vector>

#include "jpegrt.h"

namespace jpegrt {

// What takes the rows of a window.
class BlockRowSink {
 public:
  virtual void TakeRow(int array, JDIMENSION row, const JCOEF* blocks) = 0;

 protected:
  ~BlockRowSink() = default;
};

class RecycledArrays {
 public:
  // Replaces the block array methods of `decoder`, whose client_data it takes. Both must outlive
  // every image read.
  void Install(jpeg_decompress_struct* decoder);

  // Forgets the arrays of the last image, keeps their memory.
  void Reset() {
    in_use_ = 0;
    realized_ = false;
    sink_ = nullptr;
  }

  // Between Reset and the decoder's requests: the arrays of this image are windows, whose rows go
  // to `sink` from the top down. The image must have a single scan.
  void HandRowsTo(BlockRowSink* sink) { sink_ = sink; }

  // Hands on what is still in the windows.
  void FinishRows();

  // Whether the decoder got as far as having arrays for its image.
  bool realized() const { return realized_; }

  // Zeroes whatever the decoder never reached and returns array `index`, in the order requested.
  JCOEF* Blocks(int index);
  JDIMENSION Columns(int index) const { return arrays_[index].columns; }

 private:
  struct Free {
    void operator()(JBLOCK* blocks) const { std::free(blocks); }
  };

  struct Array {
    std::unique_ptr<JBLOCK[], Free> blocks;
    size_t capacity = 0;  // blocks
    JDIMENSION rows = 0, columns = 0;
    JDIMENSION window_rows = 0;  // as many as the decoder asks for at once
    JDIMENSION window = 0;       // the first row that the window holds, if it holds any
    bool window_is_filled = false;
    JDIMENSION zeroed_rows = 0;  // done as the decoder advances, while the rows are in cache anyway
    std::vector<JBLOCKROW> row_pointers;

    void Reserve(JDIMENSION reserved_rows);
    void ZeroUpTo(JDIMENSION row);
  };

  void HandOn(int index);
  // Moves the window on to `first_row`; false if the decoder asks for another row than the next.
  bool MoveWindow(int index, JDIMENSION first_row, JDIMENSION rows);

  static RecycledArrays* Of(j_common_ptr decoder) {
    return static_cast<RecycledArrays*>(decoder->client_data);
  }
  static jvirt_barray_ptr Request(j_common_ptr decoder, int pool, boolean pre_zero,
                                  JDIMENSION columns, JDIMENSION rows, JDIMENSION max_access);
  static void Realize(j_common_ptr decoder);
  static JBLOCKARRAY Access(j_common_ptr decoder, jvirt_barray_ptr array, JDIMENSION first_row,
                            JDIMENSION rows, boolean writable);

  Array arrays_[JPEGRT_MAX_COMPONENTS];
  int in_use_ = 0;
  bool realized_ = false;
  BlockRowSink* sink_ = nullptr;
  void (*realize_sample_arrays_)(j_common_ptr) = nullptr;
};

}  // namespace jpegrt
