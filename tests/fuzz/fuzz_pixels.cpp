// Fuzz target: any bytes as pixels of a stated size, and as that size, through models that take
// pixels. The sessions outlive an input, so that what one image leaves behind meets the next.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "jpegrt.h"

namespace {

size_t Elements(const jpegrt_tensor& tensor) {
  size_t count = 1;
  for (uint32_t i = 0; i < tensor.rank; ++i) count *= static_cast<size_t>(tensor.shape[i]);
  return count;
}

// Reads all of the input and writes all of the output, so that a wrong shape is a wrong access.
int Repeat(void*, const char*, const jpegrt_tensor* inputs, size_t n_inputs,
           const jpegrt_tensor* outputs, size_t n_outputs, void*, char*, size_t) {
  if (n_inputs != 1 || n_outputs != 1) std::abort();
  const auto* in = static_cast<const float*>(inputs->data);
  auto* out = static_cast<float*>(outputs->data);
  const size_t given = Elements(*inputs), wanted = Elements(*outputs);
  if (wanted < given) std::abort();
  for (size_t k = 0; k < wanted; ++k) out[k] = in[k % given];
  return 0;
}

// Small, so that many inputs are tried.
constexpr uint64_t kMaxPixels = 1 << 16;

class Session {
 public:
  Session(jpegrt_domain domain, uint32_t n_graphs, uint32_t enlargement, uint32_t minimum_px,
          uint32_t multiple_px, uint32_t tile_px) {
    const bool is_luma = domain == JPEGRT_DOMAIN_LUMA;
    const jpegrt_graph graphs[] = {{"first", is_luma ? 1u : 3u, 1, 1}, {"grey", 1, 1, 1}};
    const jpegrt_model model = {sizeof model, 1,          1 / 255.f,   n_graphs, graphs, domain,
                                enlargement,  minimum_px, multiple_px, 0,        0,      3};
    const jpegrt_engine engine = {sizeof engine, nullptr, Repeat, nullptr};
    jpegrt_session_options options = {};
    options.struct_size = sizeof options;
    options.threads = 2;
    options.tile_px = tile_px;
    options.read = {sizeof options.read, 0, kMaxPixels};
    if (jpegrt_session_create(&options, &model, &engine, &session_) != JPEGRT_OK) std::abort();
  }
  ~Session() { jpegrt_session_destroy(session_); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void Restore(const uint8_t* pixels, uint32_t width, uint32_t height, uint32_t channels,
               size_t row_stride) {
    const jpegrt_status status =
        jpegrt_session_load_pixels(session_, pixels, width, height, channels, row_stride);
    if ((status == JPEGRT_OK) != (std::strlen(jpegrt_session_message(session_)) == 0)) std::abort();
    jpegrt_pixel_size size;
    // What is refused leaves no image.
    if ((jpegrt_session_output_size(session_, &size) == JPEGRT_OK) != (status == JPEGRT_OK))
      std::abort();
    if (status != JPEGRT_OK) return;
    const size_t row = static_cast<size_t>(size.width) * size.channels;
    // Exactly as large as the image, so that a byte too many is found.
    std::vector<uint8_t> restored(row * size.height);
    std::vector<uint16_t> deep(row * size.height);
    if (jpegrt_session_restore(session_, restored.data(), row) != JPEGRT_OK) std::abort();
    if (jpegrt_session_restore16(session_, deep.data(), 2 * row) != JPEGRT_OK) std::abort();
  }

 private:
  jpegrt_session* session_ = nullptr;
};

uint32_t Word(const uint8_t* bytes) {
  return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | static_cast<uint32_t>(bytes[3]) << 24;
}

constexpr size_t kHeader = 8;

// The header as sizes, if the session has to refuse them: the pixels are not there.
void RefuseAsStated(Session* session, const uint8_t* bytes) {
  const uint32_t width = Word(bytes), height = Word(bytes + 4), channels = bytes[3] % 5;
  const size_t row_stride = bytes[7];
  const bool sound = (channels == 1 || channels == 3) && width > 0 && height > 0 &&
                     width * uint64_t{channels} <= row_stride &&
                     width * uint64_t{height} <= kMaxPixels;
  if (!sound) session->Restore(bytes + kHeader, width, height, channels, row_stride);
}

// Sizes that the bytes behind the header are enough for.
void RestoreWhatIsThere(Session* session, const uint8_t* bytes, size_t size) {
  const uint32_t channels = bytes[0] % 2 ? 1 : 3;
  const size_t n_pixels = size - kHeader;
  const auto width =
      static_cast<uint32_t>(std::min<size_t>(1 + bytes[1] % 70, n_pixels / channels));
  if (width == 0) return;
  const size_t row = size_t{width} * channels, row_stride = row + bytes[2] % 4;
  const auto height =
      static_cast<uint32_t>(1 + std::min<size_t>((n_pixels - row) / row_stride, bytes[4] % 70));
  // A copy of exactly what may be read.
  const uint8_t* pixels = bytes + kHeader;
  const std::vector<uint8_t> exact(pixels, pixels + (height - 1) * row_stride + row);
  session->Restore(exact.data(), width, height, channels, row_stride);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  // One set per thread: a session is used by one thread at a time.
  thread_local Session rgb(JPEGRT_DOMAIN_RGB, 1, 1, 1, 1, 0),
      rgb_3(JPEGRT_DOMAIN_RGB, 2, 3, 0, 0, 20), luma(JPEGRT_DOMAIN_LUMA, 1, 1, 16, 8, 0),
      luma_4(JPEGRT_DOMAIN_LUMA, 1, 4, 5, 7, 25);
  if (size <= kHeader) return 0;
  for (Session* session : {&rgb, &rgb_3, &luma, &luma_4}) {
    RefuseAsStated(session, bytes);
    RestoreWhatIsThere(session, bytes, size);
  }
  return 0;
}
