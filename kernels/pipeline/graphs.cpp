#include "graphs.h"

#include "../cpu/error.h"

namespace jpegrt {

Graphs::Graphs(const jpegrt_model& model) {
  for (uint32_t i = 0; i < model.n_graphs; ++i) {
    const jpegrt_graph& graph = model.graphs[i];
    if (!graph.name || (graph.components != 1 && graph.components != 3) || graph.chroma_h == 0 ||
        graph.chroma_v == 0 || model.cell_px % graph.chroma_h || model.cell_px % graph.chroma_v)
      throw Error(JPEGRT_ERR_INVALID_ARGUMENT,
                  "graph " + std::to_string(i) + " of the model does not fit its cell size");
    graphs_.push_back({graph.name, graph.components, graph.chroma_h, graph.chroma_v});
  }
}

const Graph* Graphs::Together(const CodedImage& image) const {
  if (!image.HasChroma()) return nullptr;
  const uint32_t h = image.PixelsAcross(1), v = image.PixelsDown(1);
  const bool alike = h == image.PixelsAcross(2) && v == image.PixelsDown(2);
  const Graph* const direct = image.IsFullResolution(0) && alike ? Find(h, v) : nullptr;
  // Any other sampling is upsampled first, as a plain decoder would.
  return direct ? direct : Find(1, 1);
}

const Graph& Graphs::Alone() const {
  for (const Graph& graph : graphs_)
    if (graph.components == 1) return graph;
  throw Error(JPEGRT_ERR_INVALID_ARGUMENT, "the model has no graph for grey images");
}

const Graph& Graphs::Only() const {
  if (graphs_.size() != 1 || graphs_[0].components != 1)
    throw Error(JPEGRT_ERR_INVALID_ARGUMENT, "a spectral model's graphs are not one, grey");
  return graphs_[0];
}

const Graph* Graphs::Find(uint32_t chroma_h, uint32_t chroma_v) const {
  for (const Graph& graph : graphs_)
    if (graph.components == 3 && graph.chroma_h == chroma_h && graph.chroma_v == chroma_v)
      return &graph;
  return nullptr;
}

}  // namespace jpegrt
