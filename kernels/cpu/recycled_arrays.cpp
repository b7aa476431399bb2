#include "recycled_arrays.h"

#include <jerror.h>

#include <algorithm>
#include <cstring>
#include <new>

namespace jpegrt {

void RecycledArrays::Array::Reserve(JDIMENSION reserved_rows) {
  const size_t needed = static_cast<size_t>(reserved_rows) * columns;
  if (needed > capacity) {
    blocks.reset();  // first, so that old and new never exist together
    capacity = 0;
    // sizeof(JBLOCK) is 128, so the size is a multiple of the alignment, as aligned_alloc asks.
    blocks.reset(static_cast<JBLOCK*>(std::aligned_alloc(64, needed * sizeof(JBLOCK))));
    if (!blocks) throw std::bad_alloc();
    capacity = needed;
  }
  row_pointers.resize(reserved_rows);
  for (JDIMENSION row = 0; row < reserved_rows; ++row)
    row_pointers[row] = blocks.get() + static_cast<size_t>(row) * columns;
  zeroed_rows = 0;
}

void RecycledArrays::Array::ZeroUpTo(JDIMENSION row) {
  row = std::min(row, rows);
  if (row <= zeroed_rows) return;
  std::memset(row_pointers[zeroed_rows], 0,
              sizeof(JBLOCK) * static_cast<size_t>(row - zeroed_rows) * columns);
  zeroed_rows = row;
}

void RecycledArrays::Install(jpeg_decompress_struct* decoder) {
  decoder->client_data = this;
  realize_sample_arrays_ = decoder->mem->realize_virt_arrays;
  decoder->mem->request_virt_barray = Request;
  decoder->mem->realize_virt_arrays = Realize;
  decoder->mem->access_virt_barray = Access;
}

JCOEF* RecycledArrays::Blocks(int index) {
  arrays_[index].ZeroUpTo(arrays_[index].rows);
  return arrays_[index].blocks[0];
}

void RecycledArrays::HandOn(int index) {
  const Array& array = arrays_[index];
  if (!array.window_is_filled) return;
  for (JDIMENSION row = 0; row < array.window_rows; ++row)
    sink_->TakeRow(index, array.window + row, array.row_pointers[row][0]);
}

void RecycledArrays::FinishRows() {
  for (int i = 0; i < in_use_; ++i) {
    HandOn(i);
    arrays_[i].window_is_filled = false;
  }
}

bool RecycledArrays::MoveWindow(int index, JDIMENSION first_row, JDIMENSION rows) {
  Array& array = arrays_[index];
  if (rows != array.window_rows) return false;
  if (array.window_is_filled && first_row == array.window) return true;
  if (first_row != (array.window_is_filled ? array.window + array.window_rows : 0)) return false;
  HandOn(index);
  array.window = first_row;
  array.window_is_filled = true;
  array.zeroed_rows = 0;
  array.ZeroUpTo(rows);
  return true;
}

jvirt_barray_ptr RecycledArrays::Request(j_common_ptr decoder, int, boolean, JDIMENSION columns,
                                         JDIMENSION rows, JDIMENSION max_access) {
  RecycledArrays* self = Of(decoder);
  if (self->in_use_ == JPEGRT_MAX_COMPONENTS) ERREXIT(decoder, JERR_BAD_VIRTUAL_ACCESS);
  Array* array = &self->arrays_[self->in_use_++];
  array->rows = rows;
  array->columns = columns;
  array->window_rows = std::min(rows, max_access);
  array->window_is_filled = false;
  return reinterpret_cast<jvirt_barray_ptr>(array);
}

void RecycledArrays::Realize(j_common_ptr decoder) {
  RecycledArrays* self = Of(decoder);
  bool enough = true;
  try {
    for (int i = 0; i < self->in_use_; ++i) {
      Array& array = self->arrays_[i];
      array.Reserve(self->sink_ ? array.window_rows : array.rows);
    }
  } catch (const std::bad_alloc&) {
    enough = false;  // ERREXIT jumps, so it must not be called from inside a handler
  }
  if (!enough) ERREXIT1(decoder, JERR_OUT_OF_MEMORY, 0);
  self->realized_ = true;
  self->realize_sample_arrays_(decoder);
}

JBLOCKARRAY RecycledArrays::Access(j_common_ptr decoder, jvirt_barray_ptr handle,
                                   JDIMENSION first_row, JDIMENSION rows, boolean) {
  RecycledArrays* self = Of(decoder);
  Array* array = reinterpret_cast<Array*>(handle);
  if (rows > array->rows || first_row > array->rows - rows)
    ERREXIT(decoder, JERR_BAD_VIRTUAL_ACCESS);
  if (self->sink_) {
    const auto index = static_cast<int>(array - self->arrays_);
    if (!self->MoveWindow(index, first_row, rows)) ERREXIT(decoder, JERR_BAD_VIRTUAL_ACCESS);
    return array->row_pointers.data();
  }
  array->ZeroUpTo(first_row + rows);
  return array->row_pointers.data() + first_row;
}

}  // namespace jpegrt
