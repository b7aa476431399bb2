// Fuzz target: any bytes through a plain decoder and through models on cells and on pixels, strict
// and lenient.
// The sessions outlive an input, so that what one file leaves behind meets the next.

#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <vector>

#include "jpegrt.h"

namespace {

size_t Elements(const jpegrt_tensor& tensor) {
  size_t count = 1;
  for (uint32_t i = 0; i < tensor.rank; ++i) count *= static_cast<size_t>(tensor.shape[i]);
  return count;
}

// Reads every input and writes every output, so that a wrong shape is a wrong access.
int FillWithMean(void*, const char*, const jpegrt_tensor* inputs, size_t n_inputs,
                 const jpegrt_tensor* outputs, size_t n_outputs, void*, char* message,
                 size_t message_size) {
  float sum = 0;
  for (size_t i = 0; i < n_inputs; ++i) {
    const auto* data = static_cast<const float*>(inputs[i].data);
    for (size_t k = 0; k < Elements(inputs[i]); ++k) sum += data[k];
  }
  const float mean = sum / static_cast<float>(Elements(inputs[0]));
  for (size_t i = 0; i < n_outputs; ++i) {
    auto* data = static_cast<float*>(outputs[i].data);
    for (size_t k = 0; k < Elements(outputs[i]); ++k) data[k] = mean;
  }
  std::strncpy(message, "the mean is not a number", message_size);
  return mean != mean;
}

// Small, so that many inputs are tried.
constexpr uint64_t kMaxPixels = 1 << 16;

class Session {
 public:
  Session(bool allow_damaged, uint32_t cell_px) {
    const jpegrt_graph graphs[] = {{"grey", 1, 1, 1}, {"444", 3, 1, 1}, {"420", 3, 2, 2}};
    jpegrt_model model = {};
    model.cell_px = cell_px;
    model.n_graphs = cell_px > 1 ? 3 : 2;
    model.graphs = graphs;
    Create(allow_damaged, cell_px > 0 ? &model : nullptr);
  }
  // On pixels or spectra.
  Session(jpegrt_domain domain, uint32_t enlargement) {
    const jpegrt_graph graph = {"only", domain == JPEGRT_DOMAIN_RGB ? 3u : 1u, 1, 1};
    jpegrt_model model = {};
    model.cell_px = 1;
    model.n_graphs = 1;
    model.graphs = &graph;
    model.domain = domain;
    model.enlargement = enlargement;
    const bool takes_pixels = domain != JPEGRT_DOMAIN_SPECTRAL;
    model.minimum_px = takes_pixels ? 9 : 1;
    model.multiple_px = takes_pixels ? 4 : 1;
    Create(true, &model);
  }
  ~Session() { jpegrt_session_destroy(session_); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void Restore(const uint8_t* bytes, size_t size) {
    jpegrt_image image;
    const jpegrt_status status = jpegrt_session_read(session_, bytes, size, &image);
    if ((status == JPEGRT_OK) != (std::strlen(jpegrt_session_message(session_)) == 0)) std::abort();
    if (status == JPEGRT_ERR_INTERNAL) std::abort();
    if (status != JPEGRT_OK) return;
    jpegrt_pixel_size output;
    if (jpegrt_session_output_size(session_, &output) != JPEGRT_OK) std::abort();
    const size_t row = static_cast<size_t>(output.width) * output.channels;
    // Exactly as large as the image, so that a byte too many is found.
    std::vector<uint8_t> pixels(row * output.height);
    if (jpegrt_session_restore(session_, pixels.data(), row) != JPEGRT_OK) std::abort();
    std::vector<uint16_t> deep(row * output.height);
    if (jpegrt_session_restore16(session_, deep.data(), 2 * row) != JPEGRT_OK) std::abort();
  }

 private:
  void Create(bool allow_damaged, jpegrt_model* model) {
    const jpegrt_engine engine = {sizeof engine, nullptr, FillWithMean, nullptr};
    jpegrt_session_options options = {};
    options.struct_size = sizeof options;
    options.threads = 2;
    options.read = {sizeof options.read, allow_damaged, kMaxPixels};
    options.tile_px = allow_damaged ? 16 : 0;
    if (model) {
      model->struct_size = sizeof *model;
      model->scale = 1 / 128.f;
      model->receptive_field_px = 5;
      options.project =
          model->domain == JPEGRT_DOMAIN_CELLS || model->domain == JPEGRT_DOMAIN_SPECTRAL;
    }
    if (jpegrt_session_create(&options, model, model ? &engine : nullptr, &session_) != JPEGRT_OK)
      std::abort();
  }

  jpegrt_session* session_ = nullptr;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  // One set per thread: a session is used by one thread at a time.
  thread_local Session strict_plain(false, 0), plain(true, 0), strict_model(false, 8),
      model(true, 8), small_cells(true, 1), odd_cells(true, 2), luma(JPEGRT_DOMAIN_LUMA, 1),
      rgb(JPEGRT_DOMAIN_RGB, 2), spectral(JPEGRT_DOMAIN_SPECTRAL, 1);
  for (Session* session : {&strict_plain, &plain, &strict_model, &model, &small_cells, &odd_cells,
                           &luma, &rgb, &spectral})
    session->Restore(bytes, size);
  return 0;
}
