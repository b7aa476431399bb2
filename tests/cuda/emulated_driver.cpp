// A CUDA driver that runs jpegrt's kernels on the CPU: tests without a GPU load it in place of
// libcuda, and so run everything but the GPU itself, from the C ABI to the kernels' own code.
//
// Device memory is host memory that ends where a page without access begins, so that a kernel that
// reaches beyond a buffer crashes. Streams do nothing; work is done when it is enqueued.

#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "../../kernels/cuda/blocking_edges_kernel.h"
#include "../../kernels/cuda/driver.h"
#include "../../kernels/cuda/non_local_kernel.h"
#include "../../kernels/cuda/pixels_kernel.h"
#include "../../kernels/cuda/project_kernel.h"
#include "../../kernels/cuda/unpack_kernel.h"

using namespace jpegrt;
using namespace jpegrt::cuda;

namespace {

constexpr Result kInvalidValue = 1, kOutOfMemory = 2, kNotFound = 500, kInvalidImage = 200;
constexpr uint32_t kFatBinaryMagic = 0xba55ed50;
constexpr size_t kPage = 4096;

using Kernel = void (*)(const void* arguments, uint32_t block);

// Shared memory holds whatever was there, here bytes that no test expects.
template <typename Tile>
std::unique_ptr<Tile> NewTile() {
  auto tile = std::make_unique<Tile>();
  std::memset(static_cast<void*>(tile.get()), 0xa5, sizeof *tile);
  return tile;
}

template <bool kPacked, Transform kTransform, typename Element>
void RunUnpack(const void* arguments, uint32_t block) {
  const auto tile = NewTile<UnpackTile>();
  UnpackOneTile<kPacked, kTransform, Element>(*static_cast<const UnpackBatch*>(arguments), block,
                                              *tile, Phases());
}

template <bool kPacked, typename Element>
void RunProject(const void* arguments, uint32_t block) {
  const auto tile = NewTile<ProjectTile>();
  const auto registers = NewTile<Registers<ProjectRegisters>>();
  ProjectOneTile<kPacked, Element>(*static_cast<const ProjectBatch*>(arguments), block, *tile,
                                   *registers, Phases());
}

template <typename Cell, typename Pixel>
void RunPixelsFromCells(const void* arguments, uint32_t block) {
  const auto tile = NewTile<PixelTile<Pixel>>();
  PixelsFromCellTile<Cell>(*static_cast<const CellBatch*>(arguments), block, *tile, Phases());
}

void RunPixelsFromSamples(const void* arguments, uint32_t block) {
  const auto tile = NewTile<PixelTile<uint8_t>>();
  PixelsFromSampleTile(*static_cast<const SampleBatch*>(arguments), block, *tile, Phases());
}

template <typename Sample>
void RunBlockingEdges(const void* arguments, uint32_t block) {
  const auto tile = NewTile<EdgeTile>();
  FindEdgesOfTile<Sample>(*static_cast<const BlockingEdgesArguments*>(arguments), block, *tile,
                          Phases());
}

template <typename Sample>
void RunNonLocal(const void* arguments, uint32_t block) {
  const auto tile = NewTile<NonLocalTile>();
  const auto registers = NewTile<Registers<NonLocalRegisters>>();
  FilterPatches<Sample>(*static_cast<const NonLocalArguments*>(arguments), block, *tile, *registers,
                        Phases());
}

template <typename Sample>
void RunFoldPatches(const void* arguments, uint32_t block) {
  FoldPatches<Sample>(*static_cast<const NonLocalArguments*>(arguments), block, Phases());
}

const std::map<std::string, Kernel>& Kernels() {
  static const std::map<std::string, Kernel> kernels = {
      {"coefficients_f32_from_blocks", RunUnpack<false, Transform::kNone, float>},
      {"coefficients_f16_from_blocks", RunUnpack<false, Transform::kNone, Half>},
      {"cells_f32_from_blocks", RunUnpack<false, Transform::kDct, float>},
      {"cells_f16_from_blocks", RunUnpack<false, Transform::kDct, Half>},
      {"samples_u8_from_blocks", RunUnpack<false, Transform::kIslow, uint8_t>},
      {"coefficients_f32_from_packed", RunUnpack<true, Transform::kNone, float>},
      {"coefficients_f16_from_packed", RunUnpack<true, Transform::kNone, Half>},
      {"cells_f32_from_packed", RunUnpack<true, Transform::kDct, float>},
      {"cells_f16_from_packed", RunUnpack<true, Transform::kDct, Half>},
      {"samples_u8_from_packed", RunUnpack<true, Transform::kIslow, uint8_t>},
      {"projected_f32_from_blocks", RunProject<false, float>},
      {"projected_f16_from_blocks", RunProject<false, Half>},
      {"projected_f32_from_packed", RunProject<true, float>},
      {"projected_f16_from_packed", RunProject<true, Half>},
      {"pixels_u8_from_samples", RunPixelsFromSamples},
      {"pixels_u8_from_cells_f32", RunPixelsFromCells<float, uint8_t>},
      {"pixels_u16_from_cells_f32", RunPixelsFromCells<float, uint16_t>},
      {"pixels_u8_from_cells_f16", RunPixelsFromCells<Half, uint8_t>},
      {"pixels_u16_from_cells_f16", RunPixelsFromCells<Half, uint16_t>},
      {"blocking_edges_f32", RunBlockingEdges<float>},
      {"blocking_edges_f16", RunBlockingEdges<Half>},
      {"non_local_f32", RunNonLocal<float>},
      {"non_local_f16", RunNonLocal<Half>},
      {"fold_patches_f32", RunFoldPatches<float>},
      {"fold_patches_f16", RunFoldPatches<Half>},
  };
  return kernels;
}

struct Allocation {
  void* mapping;
  size_t size;
};

std::mutex mutex;
std::map<DevicePointer, Allocation> allocations;
std::atomic<int> launches{0}, pushed{0}, retained{0}, modules{0};
CUctx_st* const kContext = reinterpret_cast<CUctx_st*>(0x1000);

Result Init(unsigned) { return 0; }
Result DriverGetVersion(int* version) { return *version = 13000, 0; }
Result GetErrorString(Result, const char** text) { return *text = "emulated error", 0; }
Result DeviceGetCount(int* count) { return *count = 1, 0; }
Result DeviceGet(DeviceIndex* device, int ordinal) { return *device = ordinal, 0; }
Result DeviceGetAttribute(int* value, int, DeviceIndex) { return *value = 9, 0; }
Result DevicePrimaryCtxRetain(ContextHandle* context, DeviceIndex) {
  ++retained;
  return *context = kContext, 0;
}
Result DevicePrimaryCtxRelease(DeviceIndex) { return --retained, 0; }
Result CtxGetCurrent(ContextHandle* context) { return *context = pushed ? kContext : nullptr, 0; }
Result CtxGetDevice(DeviceIndex* device) { return *device = 0, 0; }
Result CtxPushCurrent(ContextHandle context) {
  return context == kContext ? (++pushed, 0) : kInvalidValue;
}
Result CtxPopCurrent(ContextHandle* context) { return --pushed, *context = kContext, 0; }

Result ModuleLoadData(ModuleHandle* module, const void* image) {
  uint32_t magic;
  std::memcpy(&magic, image, sizeof magic);
  if (magic != kFatBinaryMagic || !pushed) return kInvalidImage;
  ++modules;
  return *module = reinterpret_cast<ModuleHandle>(const_cast<void*>(image)), 0;
}
Result ModuleUnload(ModuleHandle) { return --modules, 0; }

Result ModuleGetFunction(FunctionHandle* function, ModuleHandle, const char* name) {
  const auto found = Kernels().find(name);
  if (found == Kernels().end()) return kNotFound;
  return *function = reinterpret_cast<FunctionHandle>(found->second), 0;
}

Result MemAlloc(DevicePointer* pointer, size_t size) {
  if (!size) return kInvalidValue;
  const size_t padded = (size + 15) / 16 * 16;  // device memory is aligned, at least to 16 bytes
  const size_t pages = (padded + kPage - 1) / kPage * kPage;
  void* mapping =
      mmap(nullptr, pages + kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return kOutOfMemory;
  mprotect(static_cast<char*>(mapping) + pages, kPage, PROT_NONE);
  std::memset(mapping, 0xa5, pages);
  *pointer = reinterpret_cast<DevicePointer>(mapping) + pages - padded;
  const std::lock_guard<std::mutex> lock(mutex);
  allocations[*pointer] = {mapping, pages + kPage};
  return 0;
}

Result MemFree(DevicePointer pointer) {
  const std::lock_guard<std::mutex> lock(mutex);
  const auto found = allocations.find(pointer);
  if (found == allocations.end()) return kInvalidValue;
  munmap(found->second.mapping, found->second.size);
  allocations.erase(found);
  return 0;
}

Result MemAllocAsync(DevicePointer* pointer, size_t size, StreamHandle) {
  return MemAlloc(pointer, size);
}
Result MemFreeAsync(DevicePointer pointer, StreamHandle) { return MemFree(pointer); }
Result MemcpyHtoDAsync(DevicePointer to, const void* from, size_t size, StreamHandle) {
  return std::memcpy(reinterpret_cast<void*>(to), from, size), 0;
}
Result MemcpyDtoHAsync(void* to, DevicePointer from, size_t size, StreamHandle) {
  return std::memcpy(to, reinterpret_cast<const void*>(from), size), 0;
}
Result MemcpyDtoDAsync(DevicePointer to, DevicePointer from, size_t size, StreamHandle) {
  return MemcpyDtoHAsync(reinterpret_cast<void*>(to), from, size, nullptr);
}
Result StreamCreate(StreamHandle* stream, unsigned) {
  return *stream = reinterpret_cast<StreamHandle>(0x2000), 0;
}
Result StreamSynchronize(StreamHandle) { return 0; }
Result StreamDestroy(StreamHandle) { return 0; }

Result DeviceGetName(char* name, int size, DeviceIndex) {
  return std::snprintf(name, static_cast<size_t>(size), "emulated"), 0;
}
Result EventCreate(void** event, unsigned) { return *event = &launches, 0; }
Result EventRecord(void*, StreamHandle) { return 0; }
Result EventSynchronize(void*) { return 0; }
Result EventElapsedTime(float* milliseconds, void*, void*) { return *milliseconds = 1, 0; }
Result EventDestroy(void*) { return 0; }

Result LaunchKernel(FunctionHandle function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                    unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                    StreamHandle, void** parameters, void** extra) {
  if (!grid_x || grid_y != 1 || grid_z != 1 || block_x != kThreads || block_y != 1 ||
      block_z != 1 || shared_bytes || extra || !pushed)
    return kInvalidValue;
  ++launches;
  const Kernel kernel = reinterpret_cast<Kernel>(function);
  for (unsigned block = 0; block < grid_x; ++block) kernel(parameters[0], block);
  return 0;
}

}  // namespace

extern "C" {

Result cuGetProcAddress_v2(const char* name, void** function, int, uint64_t, int*) {
  static const std::map<std::string, void*> functions = {
#define FUNCTION(name) {"cu" #name, reinterpret_cast<void*>(name)}
      FUNCTION(Init),
      FUNCTION(DriverGetVersion),
      FUNCTION(GetErrorString),
      FUNCTION(DeviceGetCount),
      FUNCTION(DeviceGet),
      FUNCTION(DeviceGetAttribute),
      FUNCTION(DevicePrimaryCtxRetain),
      FUNCTION(DevicePrimaryCtxRelease),
      FUNCTION(CtxGetCurrent),
      FUNCTION(CtxGetDevice),
      FUNCTION(CtxPushCurrent),
      FUNCTION(CtxPopCurrent),
      FUNCTION(ModuleLoadData),
      FUNCTION(ModuleUnload),
      FUNCTION(ModuleGetFunction),
      FUNCTION(MemAlloc),
      FUNCTION(MemFree),
      FUNCTION(MemAllocAsync),
      FUNCTION(MemFreeAsync),
      FUNCTION(MemcpyHtoDAsync),
      FUNCTION(MemcpyDtoHAsync),
      FUNCTION(MemcpyDtoDAsync),
      FUNCTION(DeviceGetName),
      FUNCTION(EventCreate),
      FUNCTION(EventRecord),
      FUNCTION(EventSynchronize),
      FUNCTION(EventElapsedTime),
      FUNCTION(EventDestroy),
      FUNCTION(StreamCreate),
      FUNCTION(StreamSynchronize),
      FUNCTION(StreamDestroy),
      FUNCTION(LaunchKernel),
#undef FUNCTION
  };
  const auto found = functions.find(name);
  if (found == functions.end()) return kNotFound;
  *function = found->second;
  return 0;
}

// For tests: what is still held, and how often a kernel was launched.
int emulated_launches() { return launches; }
int emulated_held() {
  const std::lock_guard<std::mutex> lock(mutex);
  return static_cast<int>(allocations.size()) + pushed + retained + modules;
}
}
