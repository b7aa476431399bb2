// Restores a JPEG on a GPU, on a stream of the program's own: usage: restore_async IN.jpg OUT.pnm
//
//   1. the CPU entropy-decodes the file into packed coefficients
//   2. these are uploaded, a tenth to a third of what pixels would be
//   3. jpegrt_cuda_unpack makes the network's input of them
//   4. the network runs; here a kernel that changes nothing stands in for it
//   5. jpegrt_cuda_pixels_from_cells makes pixels of its output
//   6. the pixels are downloaded
// Steps 2 to 6 are only enqueued: the program waits once, at the end. Images that the network does
// not take (here those stored as RGB, or with chroma more than halved) are decoded plainly instead.
#include <cuda_runtime.h>
#include <jpegrt.h>

#include <algorithm>
#include <cstdint>
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

void Check(jpegrt_status status, const jpegrt_coefficients* coefficients) {
  if (status != JPEGRT_OK) throw std::runtime_error(jpegrt_coefficients_message(coefficients));
}

struct Destroy {
  void operator()(jpegrt_coefficients* handle) const { jpegrt_coefficients_destroy(handle); }
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
template <typename T>
class DeviceMemory {
 public:
  DeviceMemory(size_t count, cudaStream_t stream) : stream_(stream) {
    Check(cudaMallocAsync(&data_, count * sizeof(T), stream), "cudaMallocAsync");
  }
  ~DeviceMemory() { cudaFreeAsync(data_, stream_); }
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;
  T* data() const { return static_cast<T*>(data_); }

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

struct Cells {
  uint32_t rows, columns;       // of a plane
  uint32_t chroma_h, chroma_v;  // luma samples per chroma sample
  __host__ __device__ size_t plane() const { return static_cast<size_t>(rows) * columns; }
  __host__ __device__ uint32_t chroma_planes() const {
    return kCell / chroma_h * (kCell / chroma_v);
  }
};

// In place of a network: luma as it is, chroma repeated up to full resolution. A TensorRT engine
// would be enqueued here, with the same pointers and the same stream.
__global__ void Network(Cells cells, const float* luma, const float* chroma, uint32_t components,
                        float* restored) {
  const size_t plane = cells.plane(),
               cell = blockIdx.x * static_cast<size_t>(blockDim.x) + threadIdx.x;
  if (cell >= plane) return;
  for (uint32_t y = 0; y < kCell; ++y)
    for (uint32_t x = 0; x < kCell; ++x) {
      const uint32_t to = kCell * y + x;
      restored[to * plane + cell] = luma[to * plane + cell];
      const uint32_t from = y / cells.chroma_v * (kCell / cells.chroma_h) + x / cells.chroma_h;
      for (uint32_t c = 1; c < components; ++c)
        restored[(c * kCell * kCell + to) * plane + cell] =
            chroma[((c - 1) * cells.chroma_planes() + from) * plane + cell];
    }
}

// Whether the network takes this image, and in which cells: whole MCUs of them.
bool CellsOf(const jpegrt_image& image, Cells* cells) {
  const jpegrt_component &luma = image.component[0], &cb = image.component[1],
                         &cr = image.component[2];
  *cells = {0, 0, 1, 1};
  if (image.colour == JPEGRT_COLOUR_RGB) return false;
  if (image.colour == JPEGRT_COLOUR_YCBCR) {
    if (cb.h != cr.h || cb.v != cr.v || luma.h % cb.h || luma.v % cb.v) return false;
    cells->chroma_h = luma.h / cb.h;
    cells->chroma_v = luma.v / cb.v;
    if (luma.h != cells->chroma_h * cb.h || cells->chroma_h > 2 || cells->chroma_v > 2)
      return false;
  }
  const bool grey = image.components == 1;
  const uint32_t mcu_width = 8 * (grey ? 1 : luma.h), mcu_height = 8 * (grey ? 1 : luma.v);
  cells->columns = (image.width + mcu_width - 1) / mcu_width * mcu_width / kCell;
  cells->rows = (image.height + mcu_height - 1) / mcu_height * mcu_height / kCell;
  return true;
}

// Enqueues steps 3 to 5. `packed` are the streams on the device.
void Restore(jpegrt_cuda* cuda, const jpegrt_image& image, const Cells& cells,
             const std::vector<const void*>& packed, uint8_t* pixels, cudaStream_t stream) {
  const uint32_t luma_planes = kCell * kCell;
  const size_t chroma_cells = cells.chroma_planes() * cells.plane();
  DeviceMemory<float> input(luma_planes * cells.plane() + (image.components - 1) * chroma_cells,
                            stream);
  DeviceMemory<float> restored(image.components * luma_planes * cells.plane(), stream);
  float* const chroma = input.data() + luma_planes * cells.plane();

  std::vector<jpegrt_unpacking> components(image.components);
  for (uint32_t c = 0; c < image.components; ++c) {
    jpegrt_unpacking& unpacking = components[c];
    const uint32_t h = c ? cells.chroma_h : 1, v = c ? cells.chroma_v : 1;
    unpacking.blocks = image.component[c].blocks;
    unpacking.packed = packed[c];
    unpacking.out = c ? chroma + (c - 1) * chroma_cells : input.data();
    unpacking.plane = cells.plane();
    unpacking.pitch = cells.columns;
    unpacking.cell_width = kCell / h;
    unpacking.cell_height = kCell / v;
    unpacking.grid_columns = cells.columns * unpacking.cell_width / 8;
    unpacking.grid_rows = cells.rows * unpacking.cell_height / 8;
  }
  Check(jpegrt_cuda_unpack(cuda, components.data(), components.size(), JPEGRT_LAYOUT_CELLS,
                           JPEGRT_FLOAT32, kScale, stream),
        cuda);

  const unsigned threads = 256,
                 blocks = static_cast<unsigned>((cells.plane() + threads - 1) / threads);
  Network<<<blocks, threads, 0, stream>>>(cells, input.data(), chroma, image.components,
                                          restored.data());
  Check(cudaGetLastError(), "the network");

  jpegrt_cell_image output = {};
  for (uint32_t c = 0; c < image.components; ++c)
    output.cells[c] = restored.data() + c * luma_planes * cells.plane();
  output.plane = cells.plane();
  output.pitch = cells.columns;
  output.width = image.width;
  output.height = image.height;
  output.colour = image.colour;
  output.pixels = pixels;
  output.row_stride = static_cast<uint64_t>(image.width) * image.components;
  Check(jpegrt_cuda_pixels_from_cells(cuda, &output, 1, kCell, JPEGRT_FLOAT32, kScale, JPEGRT_UINT8,
                                      stream),
        cuda);
}

// Enqueues a plain decoder in place of steps 3 to 5.
void Decode(jpegrt_cuda* cuda, const jpegrt_image& image, const std::vector<const void*>& packed,
            uint8_t* pixels, cudaStream_t stream) {
  jpegrt_decoding decoding = {};
  decoding.image = &image;
  std::copy(packed.begin(), packed.end(), decoding.packed);
  decoding.pixels = pixels;
  decoding.row_stride = static_cast<uint64_t>(image.width) * image.components;
  Check(jpegrt_cuda_decode(cuda, &decoding, 1, nullptr, stream), cuda);
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
  jpegrt_coefficients* made_coefficients;
  if (jpegrt_coefficients_create(&made_coefficients) != JPEGRT_OK) throw std::bad_alloc();
  const std::unique_ptr<jpegrt_coefficients, Destroy> coefficients(made_coefficients);
  jpegrt_image image;
  jpegrt_packed packed[JPEGRT_MAX_COMPONENTS];
  Check(jpegrt_coefficients_read_packed(coefficients.get(),
                                        reinterpret_cast<const uint8_t*>(jpeg.data()), jpeg.size(),
                                        nullptr, &image, packed),
        coefficients.get());

  const Stream stream;
  const PinnedMemory pixels(static_cast<size_t>(image.width) * image.height * image.components);
  const DeviceMemory<uint8_t> device_pixels(pixels.size(), stream);
  std::vector<std::unique_ptr<PinnedMemory>> staged;
  std::vector<std::unique_ptr<DeviceMemory<uint8_t>>> uploaded;
  std::vector<const void*> on_device;
  for (uint32_t c = 0; c < image.components; ++c) {
    image.component[c].blocks.table = packed[c].table;
    const size_t size = packed[c].size;
    staged.push_back(std::make_unique<PinnedMemory>(size));
    uploaded.push_back(std::make_unique<DeviceMemory<uint8_t>>(size, stream));
    std::memcpy(staged.back()->data(), packed[c].data, size);
    Check(cudaMemcpyAsync(uploaded.back()->data(), staged.back()->data(), size,
                          cudaMemcpyHostToDevice, stream),
          "upload");
    on_device.push_back(uploaded.back()->data());
  }
  Cells cells;
  if (CellsOf(image, &cells))
    Restore(cuda.get(), image, cells, on_device, device_pixels.data(), stream);
  else
    Decode(cuda.get(), image, on_device, device_pixels.data(), stream);
  Check(cudaMemcpyAsync(pixels.data(), device_pixels.data(), pixels.size(), cudaMemcpyDeviceToHost,
                        stream),
        "download");
  Check(cudaStreamSynchronize(stream), "restoring");

  std::ofstream out(to, std::ios::binary);
  out << (image.components == 1 ? "P5 " : "P6 ") << image.width << ' ' << image.height << " 255\n";
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
