// Entropy-decodes a JPEG into quantised blocks, through libjpeg.
#pragma once

#include <cstdio>
// jpeglib.h needs <cstdio> before it
#include <jpeglib.h>

#include <csetjmp>
#include <string>

#include "buffer.h"
#include "jpegrt.h"
#include "pack.h"
#include "recycled_arrays.h"

namespace jpegrt {

class Coefficients : private BlockRowSink {
 public:
  Coefficients();
  ~Coefficients();
  Coefficients(const Coefficients&) = delete;
  Coefficients& operator=(const Coefficients&) = delete;

  // The reads of jpegrt.h. They throw Error; the handle can then be used again.
  jpegrt_image ReadHeader(const uint8_t* bytes, size_t size, const jpegrt_read_options& options);
  jpegrt_image Read(const uint8_t* bytes, size_t size, const jpegrt_read_options& options);
  jpegrt_image ReadPacked(const uint8_t* bytes, size_t size, const jpegrt_read_options& options,
                          jpegrt_packed packed[JPEGRT_MAX_COMPONENTS]);

 private:
  // libjpeg's error manager, with where to jump to and what to say there.
  struct ErrorManager {
    jpeg_error_mgr base;  // first, because libjpeg only knows its address
    std::jmp_buf jump;
    unsigned scans_allowed;
    bool out_of_scans;
    bool missing_end;  // the file ended before its end marker
    bool damaged;      // any other complaint
    char first_warning[JMSG_LENGTH_MAX];
  };

  static void ErrorExit(j_common_ptr decoder);
  static void EmitMessage(j_common_ptr decoder, int level);
  static void OutputMessage(j_common_ptr) {}  // libjpeg would print
  static void Progress(j_common_ptr decoder);

  void TakeRow(int component, JDIMENSION row, const JCOEF* blocks) override;

  bool ParseHeader(const uint8_t* bytes, size_t size);  // false: libjpeg gave up
  bool DecodeEntropy();                                 // likewise
  // Decodes what follows the header, and copies the tables.
  void Decode(const jpegrt_read_options& options, jpegrt_image* image);
  jpegrt_image Geometry(const jpegrt_read_options& options) const;
  void RefuseDamage(const jpegrt_read_options& options) const;
  jpegrt_status LibjpegStatus() const;  // what libjpeg's last error means
  [[noreturn]] void ThrowLibjpegError();

  jpeg_decompress_struct decoder_;
  ErrorManager errors_;
  jpeg_progress_mgr progress_;
  RecycledArrays arrays_;
  uint16_t tables_[JPEGRT_MAX_COMPONENTS][64];
  bool has_one_scan_ = false;

  // Of ReadPacked.
  jpegrt_image packed_image_ = {};
  Packer packers_[JPEGRT_MAX_COMPONENTS];
  Buffer<uint8_t> packed_[JPEGRT_MAX_COMPONENTS];
};

}  // namespace jpegrt
