// A CUDA driver that runs jpegrt's kernels on the CPU: tests without a GPU load it in place of
// libcuda, and so run everything but the GPU itself, from the C ABI to the kernels' own code.
//
// Device memory is host memory that ends where a page without access begins, so that a kernel that
// reaches beyond a buffer crashes. Work is done when it is enqueued, or, if a test says so, as late
// as a driver may: when somebody waits for it. All streams are then one queue.

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "../../kernels/cuda/blocking_edges_kernel.h"
#include "../../kernels/cuda/driver.h"
#include "../../kernels/cuda/non_local_kernel.h"
#include "../../kernels/cuda/pixels_kernel.h"
#include "../../kernels/cuda/project_kernel.h"
#include "../../kernels/cuda/unpack_kernel.h"
#include "../../kernels/cuda/upsample_kernel.h"

using namespace jpegrt;
using namespace jpegrt::cuda;

namespace {

constexpr Result kInvalidValue = 1, kOutOfMemory = 2, kNotFound = 500, kInvalidImage = 200,
                 kLaunchFailed = 719;
constexpr uint32_t kFatBinaryMagic = 0xba55ed50;
constexpr size_t kPage = 4096;

struct Kernel {
  void (*run)(const void* arguments, uint32_t block);
  size_t argument_bytes;
};

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

template <typename Pixel>
void RunPixelsFromSamples(const void* arguments, uint32_t block) {
  const auto tile = NewTile<PixelTile<Pixel>>();
  PixelsFromSampleTile(*static_cast<const SampleBatch*>(arguments), block, *tile, Phases());
}

void RunCellsFromSamples(const void* arguments, uint32_t block) {
  CellsFromSamples(*static_cast<const UpsampledCells*>(arguments), block, Phases());
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
      {"coefficients_f32_from_blocks",
       {RunUnpack<false, Transform::kNone, float>, sizeof(UnpackBatch)}},
      {"coefficients_f16_from_blocks",
       {RunUnpack<false, Transform::kNone, Half>, sizeof(UnpackBatch)}},
      {"cells_f32_from_blocks", {RunUnpack<false, Transform::kDct, float>, sizeof(UnpackBatch)}},
      {"cells_f16_from_blocks", {RunUnpack<false, Transform::kDct, Half>, sizeof(UnpackBatch)}},
      {"samples_u8_from_blocks",
       {RunUnpack<false, Transform::kIslow, uint8_t>, sizeof(UnpackBatch)}},
      {"coefficients_f32_from_packed",
       {RunUnpack<true, Transform::kNone, float>, sizeof(UnpackBatch)}},
      {"coefficients_f16_from_packed",
       {RunUnpack<true, Transform::kNone, Half>, sizeof(UnpackBatch)}},
      {"cells_f32_from_packed", {RunUnpack<true, Transform::kDct, float>, sizeof(UnpackBatch)}},
      {"cells_f16_from_packed", {RunUnpack<true, Transform::kDct, Half>, sizeof(UnpackBatch)}},
      {"samples_u8_from_packed",
       {RunUnpack<true, Transform::kIslow, uint8_t>, sizeof(UnpackBatch)}},
      {"projected_f32_from_blocks", {RunProject<false, float>, sizeof(ProjectBatch)}},
      {"projected_f16_from_blocks", {RunProject<false, Half>, sizeof(ProjectBatch)}},
      {"projected_f32_from_packed", {RunProject<true, float>, sizeof(ProjectBatch)}},
      {"projected_f16_from_packed", {RunProject<true, Half>, sizeof(ProjectBatch)}},
      {"pixels_u8_from_samples", {RunPixelsFromSamples<uint8_t>, sizeof(SampleBatch)}},
      {"pixels_u16_from_samples", {RunPixelsFromSamples<uint16_t>, sizeof(SampleBatch)}},
      {"pixels_u8_from_cells_f32", {RunPixelsFromCells<float, uint8_t>, sizeof(CellBatch)}},
      {"pixels_u16_from_cells_f32", {RunPixelsFromCells<float, uint16_t>, sizeof(CellBatch)}},
      {"pixels_u8_from_cells_f16", {RunPixelsFromCells<Half, uint8_t>, sizeof(CellBatch)}},
      {"pixels_u16_from_cells_f16", {RunPixelsFromCells<Half, uint16_t>, sizeof(CellBatch)}},
      {"cells_f32_from_samples", {RunCellsFromSamples, sizeof(UpsampledCells)}},
      {"blocking_edges_f32", {RunBlockingEdges<float>, sizeof(BlockingEdgesArguments)}},
      {"blocking_edges_f16", {RunBlockingEdges<Half>, sizeof(BlockingEdgesArguments)}},
      {"non_local_f32", {RunNonLocal<float>, sizeof(NonLocalArguments)}},
      {"non_local_f16", {RunNonLocal<Half>, sizeof(NonLocalArguments)}},
      {"fold_patches_f32", {RunFoldPatches<float>, sizeof(NonLocalArguments)}},
      {"fold_patches_f16", {RunFoldPatches<Half>, sizeof(NonLocalArguments)}},
  };
  return kernels;
}

struct Allocation {
  void* mapping;
  size_t mapped, size;
};

struct Event {
  int records = 0, passed = 0;  // of those the queue got to
};

std::mutex mutex;
std::map<DevicePointer, Allocation> allocations;  // page-locked memory too
std::atomic<int> launches{0}, pushed{0}, retained{0}, modules{0}, events{0}, streams{0}, waits{0};
size_t pool_bytes = 0, most_pool_bytes = 0;

bool is_deferring = false;
std::deque<std::function<void()>> queue;

void Enqueue(std::function<void()> work) {
  if (is_deferring)
    queue.push_back(std::move(work));
  else
    work();
}

// Until `done`, or until there is no more.
void Work(const std::function<bool()>& done) {
  if (done() || queue.empty()) return;
  ++waits;
  while (!done() && !queue.empty()) {
    queue.front()();
    queue.pop_front();
  }
}

// The call that is to fail, and how often it goes well before.
std::string failing_call;
int calls_left = 0;

bool Fails(const char* call) { return failing_call == call && calls_left-- == 0; }

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
  return *function = reinterpret_cast<FunctionHandle>(const_cast<Kernel*>(&found->second)), 0;
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
  allocations[*pointer] = {mapping, pages + kPage, size};
  return 0;
}

// The bytes that there were; 0 if there is no such memory.
size_t Free(DevicePointer pointer) {
  const std::lock_guard<std::mutex> lock(mutex);
  const auto found = allocations.find(pointer);
  if (found == allocations.end()) return 0;
  const size_t size = found->second.size;
  munmap(found->second.mapping, found->second.mapped);
  allocations.erase(found);
  return size;
}

Result MemFree(DevicePointer pointer) { return Free(pointer) ? 0 : kInvalidValue; }

Result MemAllocAsync(DevicePointer* pointer, size_t size, StreamHandle) {
  if (Fails("cuMemAllocAsync")) return kOutOfMemory;
  const Result result = MemAlloc(pointer, size);
  const std::lock_guard<std::mutex> lock(mutex);
  if (!result) pool_bytes += size;
  most_pool_bytes = std::max(most_pool_bytes, pool_bytes);
  return result;
}
Result MemFreeAsync(DevicePointer pointer, StreamHandle) {
  {  // The pool may hand it out again from now on, so it no longer counts.
    const std::lock_guard<std::mutex> lock(mutex);
    const auto found = allocations.find(pointer);
    if (found == allocations.end()) return kInvalidValue;
    pool_bytes -= found->second.size;
  }
  return Enqueue([pointer] { Free(pointer); }), 0;
}
Result MemHostAlloc(void** pointer, size_t size, unsigned) {
  if (Fails("cuMemHostAlloc")) return kOutOfMemory;
  DevicePointer made = 0;
  const Result result = MemAlloc(&made, size);
  return *pointer = reinterpret_cast<void*>(made), result;
}
Result MemFreeHost(void* pointer) { return MemFree(reinterpret_cast<DevicePointer>(pointer)); }

Result MemcpyHtoDAsync(DevicePointer to, const void* from, size_t size, StreamHandle) {
  if (Fails("cuMemcpyHtoDAsync")) return kInvalidValue;
  return Enqueue([=] { std::memcpy(reinterpret_cast<void*>(to), from, size); }), 0;
}
Result MemcpyDtoHAsync(void* to, DevicePointer from, size_t size, StreamHandle) {
  return Enqueue([=] { std::memcpy(to, reinterpret_cast<const void*>(from), size); }), 0;
}
Result MemcpyDtoDAsync(DevicePointer to, DevicePointer from, size_t size, StreamHandle) {
  return MemcpyDtoHAsync(reinterpret_cast<void*>(to), from, size, nullptr);
}
Result Memcpy2DAsync(const Copy2d* copy, StreamHandle) {
  if (Fails("cuMemcpy2DAsync") || copy->from.type != kMemoryTypeDevice ||
      copy->to.type != kMemoryTypeHost || copy->from.pitch < copy->width_bytes ||
      copy->to.pitch < copy->width_bytes)
    return kInvalidValue;
  Enqueue([copy = *copy] {
    for (size_t y = 0; y < copy.height; ++y)
      std::memcpy(static_cast<char*>(copy.to.host) + y * copy.to.pitch,
                  reinterpret_cast<const char*>(copy.from.device) + y * copy.from.pitch,
                  copy.width_bytes);
  });
  return 0;
}
Result StreamCreate(StreamHandle* stream, unsigned) {
  if (Fails("cuStreamCreate")) return kOutOfMemory;
  return *stream = reinterpret_cast<StreamHandle>(intptr_t{0x2000} + 16 * ++streams), 0;
}
Result StreamSynchronize(StreamHandle) {
  Work([] { return false; });
  return Fails("cuStreamSynchronize") ? kLaunchFailed : 0;
}
Result StreamDestroy(StreamHandle) { return --streams, 0; }
Result StreamWaitEvent(StreamHandle, EventHandle, unsigned) {
  return Fails("cuStreamWaitEvent") ? kInvalidValue : 0;
}

Result DeviceGetName(char* name, int size, DeviceIndex) {
  return std::snprintf(name, static_cast<size_t>(size), "emulated"), 0;
}
Result EventCreate(EventHandle* event, unsigned) {
  if (Fails("cuEventCreate")) return kOutOfMemory;
  return ++events, *event = reinterpret_cast<EventHandle>(new Event()), 0;
}
Result EventRecord(EventHandle handle, StreamHandle) {
  if (Fails("cuEventRecord")) return kInvalidValue;
  Event* const event = reinterpret_cast<Event*>(handle);
  ++event->records;
  return Enqueue([event] { ++event->passed; }), 0;
}
Result EventSynchronize(EventHandle handle) {
  Event* const event = reinterpret_cast<Event*>(handle);
  Work([event] { return event->passed == event->records; });
  return Fails("cuEventSynchronize") ? kLaunchFailed : 0;
}
Result EventElapsedTime(float* milliseconds, EventHandle, EventHandle) {
  return *milliseconds = 1, 0;
}
Result EventDestroy(EventHandle handle) {
  Event* const event = reinterpret_cast<Event*>(handle);
  Work([event] { return event->passed == event->records; });
  return --events, delete event, 0;
}

Result LaunchKernel(FunctionHandle function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                    unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                    StreamHandle, void** parameters, void** extra) {
  if (!grid_x || grid_y != 1 || grid_z != 1 || block_x != kThreads || block_y != 1 ||
      block_z != 1 || shared_bytes || extra || !pushed)
    return kInvalidValue;
  if (Fails("cuLaunchKernel")) return kLaunchFailed;
  ++launches;
  const Kernel& kernel = *reinterpret_cast<const Kernel*>(function);
  const auto arguments = std::make_shared<std::vector<Words4>>(kernel.argument_bytes / 16 + 1);
  std::memcpy(arguments->data(), parameters[0], kernel.argument_bytes);
  Enqueue([&kernel, arguments, grid_x] {
    for (unsigned block = 0; block < grid_x; ++block) kernel.run(arguments->data(), block);
  });
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
      FUNCTION(MemHostAlloc),
      FUNCTION(MemFreeHost),
      FUNCTION(Memcpy2DAsync),
      FUNCTION(StreamWaitEvent),
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
  return static_cast<int>(allocations.size()) + pushed + retained + modules + events + streams;
}

// From now on work is done when somebody waits for it; 0: when it is enqueued.
void emulated_defer(int defer) {
  Work([] { return false; });
  is_deferring = defer;
}

// How often a call found work that it had to wait for.
int emulated_waits() { return waits; }

// The most that was taken from the pool at once since this was asked last.
size_t emulated_most_pool_bytes() {
  const size_t most = most_pool_bytes;
  return most_pool_bytes = pool_bytes, most;
}

// Makes a driver's call fail, once, after it went well so many times; "" makes none fail.
void emulated_fail(const char* call, int after) {
  failing_call = call;
  calls_left = after;
}
}
