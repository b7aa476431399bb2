// The graphs of a model on cells or spectra, and which of them restores an image.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "coded_image.h"
#include "jpegrt.h"

namespace jpegrt {

struct Graph {
  std::string name;
  uint32_t components, chroma_h, chroma_v;
};

class Graphs {
 public:
  Graphs() = default;
  // Throws Error if one of them does not fit the model's cells.
  explicit Graphs(const jpegrt_model& model);

  // That which restores luma and chroma together; null if there is none: these are then restored
  // alone, as all other components are.
  const Graph* Together(const CodedImage& image) const;
  // That which restores one component alone. Throws Error if there is none.
  const Graph& Alone() const;
  // The one of a spectral model. Throws Error if there are others.
  const Graph& Only() const;

 private:
  const Graph* Find(uint32_t chroma_h, uint32_t chroma_v) const;

  std::vector<Graph> graphs_;
};

}  // namespace jpegrt
