#include "unfolding.h"

#include <algorithm>
#include <string>
#include <vector>

#include "../cpu/bicubic.h"
#include "../cpu/blocking_edges.h"
#include "../cpu/error.h"
#include "../cpu/non_local.h"

namespace jpegrt {
namespace {

constexpr uint32_t kChannels = 3;
constexpr uint32_t kMaxUnfoldings = 64;
constexpr uint32_t kMaxWindowPx = 65535;
// What the operator takes; and what it takes in minutes, where it looks everywhere.
constexpr size_t kMaxPixels = size_t{1} << 24, kMaxPixelsEverywhere = size_t{1} << 18;
// As jpegrt.h recommends, for levels of 8 bits.
constexpr float kEdgeRatio = 2, kLeastStep = 1;
constexpr const char* kGraphs[] = {"arm", "arm_guide", "rem", "rem_guide"};

void Require(bool is_so, const char* otherwise) {
  if (!is_so) throw Error(JPEGRT_ERR_INVALID_ARGUMENT, otherwise);
}

bool HasGraph(const jpegrt_model& model, const std::string& name) {
  return std::any_of(model.graphs, model.graphs + model.n_graphs, [&](const jpegrt_graph& graph) {
    return graph.components == kChannels && graph.name && graph.name == name;
  });
}

}  // namespace

Unfolding::Unfolding(const jpegrt_model& model, uint32_t operator_threads)
    : enlargement_(std::max(1u, model.enlargement)),
      unfoldings_(model.unfoldings),
      window_px_(model.window_px),
      operator_threads_(operator_threads),
      scale_(model.scale) {
  Require(model.domain == JPEGRT_DOMAIN_RGB, "an unfolded model's domain is not rgb");
  Require(unfoldings_ <= kMaxUnfoldings, "the model's unfoldings are more than 64");
  Require(window_px_ <= kMaxWindowPx, "the model's window_px is more than 65535");
  Require(model.n_graphs == std::size(kGraphs) &&
              std::all_of(std::begin(kGraphs), std::end(kGraphs),
                          [&](const char* name) { return HasGraph(model, name); }),
          "an unfolded model's graphs are not arm, arm_guide, rem and rem_guide");
}

void Unfolding::Run(const float* image, size_t rows, size_t columns, ThreadPool* threads,
                    Engine* engine, float* high) {
  RefuseTooLarge(rows, columns);
  const Tensors t = TensorsFor(image, rows, columns, high);
  FindKeys(t);
  Enlarge(t, threads);
  for (uint32_t j = 0; j < unfoldings_; ++j) {
    engine->Run("arm_guide", {t.high}, {t.guide, t.width}, nullptr);
    Filter(t, t.guide);
    engine->Run("arm", {t.image, t.high, t.filtered}, {t.low}, nullptr);
    engine->Run("rem_guide", {t.low}, {t.width}, nullptr);
    Filter(t, t.low);
    engine->Run("rem", {t.image, t.low, t.filtered}, {t.high}, nullptr);
  }
}

Unfolding::Tensors Unfolding::TensorsFor(const float* image, size_t rows, size_t columns,
                                         float* high) {
  const size_t plane = rows * columns;
  const auto tensor = [&](const char* name, float* data, size_t planes, size_t factor) {
    return Tensor(name, data, JPEGRT_DEVICE_CPU, {1, planes, factor * rows, factor * columns});
  };
  // The engine is told what to write; what it reads it leaves as it is.
  return {tensor("image", const_cast<float*>(image), kChannels, 1),
          tensor("high", high, kChannels, enlargement_),
          tensor("low", low_.Reserve(kChannels * plane), kChannels, 1),
          tensor("guide", guide_.Reserve(kChannels * plane), kChannels, 1),
          tensor("width", width_.Reserve(plane), 1, 1),
          tensor("filtered", filtered_.Reserve(kChannels * plane), kChannels, 1)};
}

void Unfolding::RefuseTooLarge(size_t rows, size_t columns) const {
  const size_t most = window_px_ ? kMaxPixels : kMaxPixelsEverywhere;
  if (rows <= most / columns) return;
  throw Error(JPEGRT_ERR_UNSUPPORTED,
              "this model takes images of up to " + std::to_string(most) + " pixels" +
                  (window_px_ ? "" : ": export it with --window for larger ones"));
}

void Unfolding::FindKeys(const Tensors& tensors) {
  const auto rows = static_cast<uint32_t>(tensors.image.shape[2]);
  const auto columns = static_cast<uint32_t>(tensors.image.shape[3]);
  uint8_t* keys = keys_storage_.Reserve(static_cast<size_t>(rows) * columns);
  const jpegrt_blocking_edges_options options = {
      sizeof options, 1, kChannels, rows, columns, 0, 0, kEdgeRatio, kLeastStep * scale_};
  FindBlockingEdges(options, static_cast<const float*>(tensors.image.data), keys);
  keys_ = keys;
}

// The first estimate of the enlarged image.
void Unfolding::Enlarge(const Tensors& tensors, ThreadPool* threads) const {
  const auto rows = static_cast<uint32_t>(tensors.image.shape[2]);
  const auto columns = static_cast<uint32_t>(tensors.image.shape[3]);
  const auto* image = static_cast<const float*>(tensors.image.data);
  auto* high = static_cast<float*>(tensors.high.data);
  const size_t wide = static_cast<size_t>(enlargement_) * columns;
  threads->ParallelFor(kChannels * enlargement_ * rows, [&](uint32_t first, uint32_t last) {
    std::vector<float> scratch(columns);
    for (uint32_t row = first; row < last; ++row) {
      const uint32_t c = row / (enlargement_ * rows), y = row % (enlargement_ * rows);
      const PlaneView plane = {image + c * static_cast<size_t>(rows) * columns, columns, rows};
      BicubicRow(plane, enlargement_, y, scratch.data(), high + row * wide);
    }
  });
}

void Unfolding::Filter(const Tensors& tensors, const jpegrt_tensor& guide) const {
  jpegrt_non_local_options options = {};
  options.struct_size = sizeof options;
  options.threads = operator_threads_;
  options.images = 1;
  options.channels = kChannels;
  options.height = static_cast<uint32_t>(tensors.image.shape[2]);
  options.width = static_cast<uint32_t>(tensors.image.shape[3]);
  options.window_px = window_px_;
  options.dtype = JPEGRT_FLOAT32;
  NonLocal(options, guide.data, tensors.image.data, static_cast<const float*>(tensors.width.data),
           keys_, tensors.filtered.data);
}

std::unique_ptr<Unfolding> UnfoldingFrom(const jpegrt_model& model, uint32_t operator_threads) {
  if (model.unfoldings > 0) return std::make_unique<Unfolding>(model, operator_threads);
  Require(model.window_px == 0, "a model that is not unfolded has a window_px");
  return nullptr;
}

}  // namespace jpegrt
