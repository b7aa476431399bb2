// Restores a JPEG on a GPU, on a stream of the program's own: usage: restore_async IN.jpg OUT.pnm
//
// The session entropy-decodes the file, uploads its packed coefficients, a tenth to a third of what
// pixels would be, has the network run on what a kernel makes of them, and writes pixels to device
// memory of the program's. All but the first is only enqueued: the program waits once, at the end.
// In place of a network there is a kernel that changes nothing.
#include <cuda_runtime.h>
#include <jpegrt.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr uint32_t kCell = 2;         // the network's cells are 2 x 2 samples
constexpr float kScale = 1.0f / 128;  // and its samples -1 to 1

void Check(cudaError_t error, const char* call) {
  if (error != cudaSuccess)
    throw std::runtime_error(std::string(call) + ": " + cudaGetErrorString(error));
}

// The handle's message is asked for after the call: it is that of the last one.
void Check(jpegrt_status status, const jpegrt_cuda* cuda) {
  if (status != JPEGRT_OK) throw std::runtime_error(jpegrt_cuda_message(cuda));
}

void Check(jpegrt_status status, const jpegrt_session* session) {
  if (status != JPEGRT_OK) throw std::runtime_error(jpegrt_session_message(session));
}

struct Destroy {
  void operator()(jpegrt_session* handle) const { jpegrt_session_destroy(handle); }
  void operator()(jpegrt_cuda* handle) const { jpegrt_cuda_destroy(handle); }
};

class Stream {
 public:
  Stream() { Check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream"); }
  ~Stream() { cudaStreamDestroy(stream_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  operator cudaStream_t() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

// Device memory, taken and given back in the stream's order.
class DeviceMemory {
 public:
  DeviceMemory(size_t size, cudaStream_t stream) : stream_(stream) {
    Check(cudaMallocAsync(&data_, size, stream), "cudaMallocAsync");
  }
  ~DeviceMemory() { cudaFreeAsync(data_, stream_); }
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;
  void* data() const { return data_; }

 private:
  cudaStream_t stream_;
  void* data_ = nullptr;
};

// Host memory that can be copied to and from without the host waiting.
class PinnedMemory {
 public:
  explicit PinnedMemory(size_t size) : size_(size) {
    Check(cudaMallocHost(&data_, size), "cudaMallocHost");
  }
  ~PinnedMemory() { cudaFreeHost(data_); }
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;
  uint8_t* data() const { return static_cast<uint8_t*>(data_); }
  size_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  size_t size_;
};

// The graphs of the network: chroma of any of these samplings, or none.
constexpr jpegrt_graph kGraphs[] = {
    {"grey", 1, 1, 1},  {"4:4:4", 3, 1, 1}, {"4:2:2", 3, 2, 1},
    {"4:4:0", 3, 1, 2}, {"4:2:0", 3, 2, 2},
};

// Planes of cells of w x h samples become those of cells of kCell x kCell, each sample repeated.
__global__ void Repeat(const float* in, uint32_t w, uint32_t h, size_t plane, float* out) {
  const size_t cell = blockIdx.x * static_cast<size_t>(blockDim.x) + threadIdx.x;
  if (cell >= plane) return;
  for (uint32_t y = 0; y < kCell; ++y)
    for (uint32_t x = 0; x < kCell; ++x) {
      const uint32_t from = y * h / kCell * w + x * w / kCell;
      out[(kCell * y + x) * plane + cell] = in[from * plane + cell];
    }
}

void Enqueue(const jpegrt_tensor& in, uint32_t first_plane, uint32_t w, uint32_t h,
             const jpegrt_tensor& out, uint32_t first_out, cudaStream_t stream) {
  const size_t plane = static_cast<size_t>(in.shape[2] * in.shape[3]);
  const unsigned threads = 256, blocks = static_cast<unsigned>((plane + threads - 1) / threads);
  Repeat<<<blocks, threads, 0, stream>>>(static_cast<const float*>(in.data) + first_plane * plane,
                                         w, h, plane,
                                         static_cast<float*>(out.data) + first_out * plane);
}

// In place of a network: luma as it is, chroma repeated up to full resolution. A TensorRT engine
// would be enqueued here, with the same pointers and the same stream.
int RunNetwork(void*, const char* name, const jpegrt_tensor* inputs, size_t,
               const jpegrt_tensor* outputs, size_t, void* stream, char* message,
               size_t message_size) {
  const auto on = static_cast<cudaStream_t>(stream);
  Enqueue(inputs[0], 0, kCell, kCell, outputs[0], 0, on);
  for (const jpegrt_graph& graph : kGraphs) {
    if (graph.components == 1 || std::strcmp(graph.name, name) != 0) continue;
    const uint32_t w = kCell / graph.chroma_h, h = kCell / graph.chroma_v;
    for (uint32_t c = 0; c < 2; ++c)
      Enqueue(inputs[1], c * w * h, w, h, outputs[1], c * kCell * kCell, on);
  }
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) std::snprintf(message, message_size, "%s", cudaGetErrorString(error));
  return error != cudaSuccess;
}

std::unique_ptr<jpegrt_session, Destroy> NewSession(jpegrt_cuda* cuda) {
  jpegrt_session_options options = {};
  options.struct_size = sizeof options;
  options.read.struct_size = sizeof options.read;
  options.cuda = cuda;
  jpegrt_model model = {};
  model.struct_size = sizeof model;
  model.cell_px = kCell;
  model.scale = kScale;
  model.n_graphs = sizeof kGraphs / sizeof kGraphs[0];
  model.graphs = kGraphs;
  const jpegrt_engine network = {sizeof network, nullptr, RunNetwork, nullptr};
  jpegrt_session* session = nullptr;
  if (jpegrt_session_create(&options, &model, &network, &session) != JPEGRT_OK)
    throw std::runtime_error(jpegrt_create_message());
  return std::unique_ptr<jpegrt_session, Destroy>(session);
}

void RestoreFile(const char* from, const char* to) {
  jpegrt_cuda* made_cuda;
  if (jpegrt_cuda_create(&made_cuda) != JPEGRT_OK) throw std::bad_alloc();
  const std::unique_ptr<jpegrt_cuda, Destroy> cuda(made_cuda);
  Check(jpegrt_cuda_attach(cuda.get(), 0), cuda.get());
  Check(cudaSetDevice(0), "cudaSetDevice");  // the same context, that of the first device

  std::ifstream file(from, std::ios::binary);
  if (!file) throw std::runtime_error(std::string(from) + ": cannot be read");
  const std::vector<char> jpeg{std::istreambuf_iterator<char>(file), {}};
  const Stream stream;  // before the session: its engine may hold the stream
  const auto session = NewSession(cuda.get());
  Check(jpegrt_session_read(session.get(), reinterpret_cast<const uint8_t*>(jpeg.data()),
                            jpeg.size(), nullptr),
        session.get());
  jpegrt_pixel_size size;
  Check(jpegrt_session_output_size(session.get(), &size), session.get());

  const size_t row = static_cast<size_t>(size.width) * size.channels;
  const PinnedMemory pixels(row * size.height);
  const DeviceMemory device_pixels(pixels.size(), stream);
  Check(
      jpegrt_session_restore_device(session.get(), device_pixels.data(), row, JPEGRT_UINT8, stream),
      session.get());
  Check(cudaMemcpyAsync(pixels.data(), device_pixels.data(), pixels.size(), cudaMemcpyDeviceToHost,
                        stream),
        "download");
  Check(cudaStreamSynchronize(stream), "restoring");

  std::ofstream out(to, std::ios::binary);
  out << (size.channels == 1 ? "P5 " : "P6 ") << size.width << ' ' << size.height << " 255\n";
  out.write(reinterpret_cast<const char*>(pixels.data()),
            static_cast<std::streamsize>(pixels.size()));
  if (!out.flush()) throw std::runtime_error(std::string(to) + ": cannot be written");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: " << argv[0] << " IN.jpg OUT.pnm\n";
    return 2;
  }
  try {
    RestoreFile(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::cerr << argv[1] << ": " << error.what() << '\n';
    return 1;
  }
}
