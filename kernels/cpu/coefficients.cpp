#include "coefficients.h"

#include <jerror.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "error.h"
#include "geometry.h"

namespace jpegrt {
namespace {

// A progressive file may revisit every coefficient in each of its scans, so a few kilobytes of
// scans can keep a decoder busy for hours. Encoders write about ten.
constexpr unsigned kMaxScans = 500;

constexpr int kMaxPadding = 64;  // bytes

jpegrt_colour ColourOf(const jpeg_decompress_struct& decoder) {
  switch (decoder.jpeg_color_space) {
    case JCS_GRAYSCALE:
      return JPEGRT_COLOUR_GREY;
    case JCS_YCbCr:
      return JPEGRT_COLOUR_YCBCR;
    case JCS_RGB:
      return JPEGRT_COLOUR_RGB;
    case JCS_CMYK:
      return JPEGRT_COLOUR_CMYK;
    case JCS_YCCK:
      return JPEGRT_COLOUR_YCCK;
    default:
      throw Error(JPEGRT_ERR_UNSUPPORTED, "JPEGs with " + std::to_string(decoder.num_components) +
                                              " components of unknown colour are not supported: "
                                              "only grey, YCbCr, RGB, CMYK and YCCK");
  }
}

}  // namespace

Coefficients::Coefficients() {
  std::memset(&decoder_, 0, sizeof decoder_);
  decoder_.err = jpeg_std_error(&errors_.base);
  errors_.base.error_exit = ErrorExit;
  errors_.base.emit_message = EmitMessage;
  errors_.base.output_message = OutputMessage;
  if (setjmp(errors_.jump)) {
    jpeg_destroy_decompress(&decoder_);
    // No memory, or a libjpeg of another ABI than the one compiled against.
    if (errors_.base.msg_code == JERR_OUT_OF_MEMORY) throw std::bad_alloc();
    throw Error(JPEGRT_ERR_INTERNAL, "libjpeg could not be set up");
  }
  jpeg_create_decompress(&decoder_);
  arrays_.Install(&decoder_);
  progress_ = {};
  progress_.progress_monitor = Progress;
  decoder_.progress = &progress_;
}

Coefficients::~Coefficients() { jpeg_destroy_decompress(&decoder_); }

void Coefficients::ErrorExit(j_common_ptr decoder) {
  std::longjmp(reinterpret_cast<ErrorManager*>(decoder->err)->jump, 1);
}

void Coefficients::EmitMessage(j_common_ptr decoder, int level) {
  if (level >= 0) return;  // a trace
  auto* errors = reinterpret_cast<ErrorManager*>(decoder->err);
  if (errors->base.num_warnings++ == 0) errors->base.format_message(decoder, errors->first_warning);
  switch (errors->base.msg_code) {
    case JWRN_JPEG_EOF:
      errors->missing_end = true;
      break;
    case JWRN_JFIF_MAJOR:  // oddities of a header, which lose nothing
    case JWRN_ADOBE_XFORM:
    case JWRN_NOT_SEQUENTIAL:
      break;
    case JWRN_EXTRANEOUS_DATA: {
      // A few bytes before the end marker are padding, likewise, where the decoder complains of
      // missing data of its own accord. That of arithmetic coding does not.
      const int discarded = errors->base.msg_parm.i[0], marker = errors->base.msg_parm.i[1];
      const bool padding = marker == JPEG_EOI && discarded <= kMaxPadding &&
                           !reinterpret_cast<j_decompress_ptr>(decoder)->arith_code;
      if (!padding) errors->damaged = true;
      break;
    }
    default:
      errors->damaged = true;
  }
}

void Coefficients::Progress(j_common_ptr decoder) {
  auto* errors = reinterpret_cast<ErrorManager*>(decoder->err);
  const auto* self = reinterpret_cast<j_decompress_ptr>(decoder);
  if (static_cast<unsigned>(self->input_scan_number) <= errors->scans_allowed) return;
  errors->out_of_scans = true;
  std::longjmp(errors->jump, 1);
}

// No object with a destructor may live in the two functions below: libjpeg's errors jump over them.

bool Coefficients::ParseHeader(const uint8_t* bytes, size_t size) {
  if (setjmp(errors_.jump)) return false;
  jpeg_abort_decompress(&decoder_);
  arrays_.Reset();
  jpeg_mem_src(&decoder_, bytes, static_cast<unsigned long>(size));
  jpeg_read_header(&decoder_, TRUE);
  has_one_scan_ = !jpeg_has_multiple_scans(&decoder_);
  return true;
}

bool Coefficients::DecodeEntropy() {
  if (setjmp(errors_.jump)) return false;
  return jpeg_read_coefficients(&decoder_) != nullptr;
}

jpegrt_status Coefficients::LibjpegStatus() const {
  if (errors_.out_of_scans) return JPEGRT_ERR_UNSUPPORTED;
  switch (errors_.base.msg_code) {
    case JERR_OUT_OF_MEMORY:
      return JPEGRT_ERR_NO_MEMORY;
    case JERR_BAD_PRECISION:
    case JERR_SOF_UNSUPPORTED:
    case JERR_ARITH_NOTIMPL:
    case JERR_NOT_COMPILED:
    case JERR_NOTIMPL:
    case JERR_COMPONENT_COUNT:
    case JERR_EMPTY_IMAGE:  // among them those that state their height after the first scan
    case JERR_IMAGE_TOO_BIG:
      return JPEGRT_ERR_UNSUPPORTED;
    default:
      return JPEGRT_ERR_DAMAGED;
  }
}

void Coefficients::ThrowLibjpegError() {
  if (errors_.out_of_scans)
    throw Error(JPEGRT_ERR_UNSUPPORTED,
                "more than " + std::to_string(kMaxScans) + " scans: refused as an attack");
  const jpegrt_status status = LibjpegStatus();
  if (status == JPEGRT_ERR_NO_MEMORY) throw std::bad_alloc();
  char text[JMSG_LENGTH_MAX];
  errors_.base.format_message(reinterpret_cast<j_common_ptr>(&decoder_), text);
  std::string message = std::string("libjpeg: ") + text;
  if (errors_.base.msg_code == JERR_EMPTY_IMAGE)
    message += "; another program may open the file and save it with its size in the header";
  throw Error(status, status == JPEGRT_ERR_DAMAGED ? "damaged JPEG (" + message + ")" : message);
}

jpegrt_image Coefficients::Geometry(const jpegrt_read_options& options) const {
  RefuseTooLarge(decoder_.image_width, decoder_.image_height, options);
  jpegrt_image image = {};
  image.colour = ColourOf(decoder_);
  image.width = decoder_.image_width;
  image.height = decoder_.image_height;
  image.components = static_cast<uint32_t>(decoder_.num_components);
  image.coding = decoder_.progressive_mode ? JPEGRT_CODING_PROGRESSIVE : JPEGRT_CODING_SEQUENTIAL;
  image.arithmetic = decoder_.arith_code ? 1 : 0;
  image.restart_interval = decoder_.restart_interval;
  image.inverted = image.components == 4 && decoder_.saw_Adobe_marker ? 1 : 0;

  for (uint32_t c = 0; c < image.components; ++c) {
    image.component[c].h = static_cast<uint32_t>(decoder_.comp_info[c].h_samp_factor);
    image.component[c].v = static_cast<uint32_t>(decoder_.comp_info[c].v_samp_factor);
  }
  DeriveComponentSizes(&image);
  for (uint32_t c = 0; c < image.components; ++c)
    image.component[c].blocks.stride = image.component[c].blocks.columns;
  return image;
}

void Coefficients::RefuseDamage(const jpegrt_read_options& options) const {
  if (options.allow_damaged) return;
  // Without its end marker a sequential file whose every block was decoded has lost nothing; a
  // progressive one may have lost whole scans, and an arithmetic decoder reads on without
  // complaint.
  const bool lost_something =
      errors_.damaged ||
      (errors_.missing_end && (decoder_.progressive_mode || decoder_.arith_code));
  if (lost_something)
    throw Error(JPEGRT_ERR_DAMAGED,
                std::string("damaged JPEG (libjpeg: ") + errors_.first_warning + ")");
}

jpegrt_image Coefficients::ReadHeader(const uint8_t* bytes, size_t size,
                                      const jpegrt_read_options& options) {
  if (size == 0) throw Error(JPEGRT_ERR_NOT_JPEG, "the file is empty");
  if (size < 2 || bytes[0] != 0xFF || bytes[1] != 0xD8)
    throw Error(JPEGRT_ERR_NOT_JPEG, "not a JPEG: it does not begin with the bytes FF D8");
  errors_.scans_allowed = kMaxScans;
  errors_.out_of_scans = errors_.missing_end = errors_.damaged = false;
  errors_.base.num_warnings = 0;
  if (!ParseHeader(bytes, size)) ThrowLibjpegError();
  return Geometry(options);
}

void Coefficients::Decode(const jpegrt_read_options& options, jpegrt_image* image) {
  const bool gave_up = !DecodeEntropy();
  // What libjpeg had decoded by then is still there.
  const bool salvage = options.allow_damaged && arrays_.realized() &&
                       (!gave_up || LibjpegStatus() == JPEGRT_ERR_DAMAGED);
  if (gave_up && !salvage) ThrowLibjpegError();
  RefuseDamage(options);
  for (uint32_t c = 0; c < image->components; ++c) {
    const jpeg_component_info& info = decoder_.comp_info[c];
    const JQUANT_TBL* table = info.quant_table;
    // No scan had this component: all its coefficients are zero, whatever their steps.
    if (!table && salvage && info.quant_tbl_no >= 0 && info.quant_tbl_no < NUM_QUANT_TBLS)
      table = decoder_.quant_tbl_ptrs[info.quant_tbl_no];
    if (!table)
      throw Error(JPEGRT_ERR_DAMAGED,
                  "damaged JPEG (no data for component " + std::to_string(c + 1) + ")");
    std::memcpy(tables_[c], table->quantval, sizeof tables_[c]);
    image->component[c].blocks.table = tables_[c];
  }
  image->warnings = static_cast<uint32_t>(errors_.base.num_warnings) + (gave_up ? 1 : 0);
}

jpegrt_image Coefficients::Read(const uint8_t* bytes, size_t size,
                                const jpegrt_read_options& options) {
  jpegrt_image image = ReadHeader(bytes, size, options);
  Decode(options, &image);
  for (uint32_t c = 0; c < image.components; ++c) {
    jpegrt_blocks& blocks = image.component[c].blocks;
    blocks.data = arrays_.Blocks(static_cast<int>(c));
    blocks.stride = arrays_.Columns(static_cast<int>(c));
  }
  return image;
}

jpegrt_image Coefficients::ReadPacked(const uint8_t* bytes, size_t size,
                                      const jpegrt_read_options& options,
                                      jpegrt_packed packed[JPEGRT_MAX_COMPONENTS]) {
  jpegrt_image& image = packed_image_;
  image = ReadHeader(bytes, size, options);
  for (uint32_t c = 0; c < image.components; ++c) {
    const uint32_t rows = image.component[c].blocks.rows;
    const uint32_t columns = image.component[c].blocks.columns;
    if (!CanBePacked(rows, columns))
      throw Error(JPEGRT_ERR_UNSUPPORTED, "too many blocks for the packed format");
    uint8_t* stream = packed_[c].Reserve(PackedBound(rows, columns));
    packed[c] = {stream, 0, tables_[c], rows, columns};
    packers_[c].Start(rows, columns, stream);
  }
  // Of several scans, only the last one leaves the coefficients complete.
  const bool in_passing = has_one_scan_;
  if (in_passing) arrays_.HandRowsTo(this);
  Decode(options, &image);
  if (in_passing) arrays_.FinishRows();
  for (uint32_t c = 0; c < image.components; ++c) {
    const auto index = static_cast<int>(c);
    for (uint32_t row = 0; row < packed[c].rows && !in_passing; ++row)
      TakeRow(index, row, arrays_.Blocks(index) + 64 * size_t{row} * arrays_.Columns(index));
    packed[c].size = packers_[c].Finish();
  }
  return image;
}

// Arrays are padded to whole MCUs; what is beyond the image's last row and column is left out.
void Coefficients::TakeRow(int component, JDIMENSION row, const JCOEF* blocks) {
  const jpegrt_blocks& geometry = packed_image_.component[component].blocks;
  if (row < geometry.rows) packers_[component].Append(blocks, geometry.columns);
}

}  // namespace jpegrt
