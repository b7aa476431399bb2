// ONNX graphs some of whose tensors are in another file (ONNX's external data), made to stand
// alone: as runtime/jpegrt/runtime/external_tensors.py does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace jpegrt {

// As much as an ONNX file can have.
inline constexpr size_t kMostOfGraph = size_t{1} << 31;

// What is wrong with a graph: completes "PATH ...".
class GraphError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The graph with every tensor in it, wherever it keeps one: initializers, attributes, subgraphs.
// `weights` are the bytes of the one file, called `name`, that a tensor may be in; an empty name is
// that of none. Throws GraphError for a tensor anywhere else, and for what is no ONNX.
std::vector<uint8_t> WithTensorsInside(std::string_view graph, std::string_view name,
                                       std::string_view weights);

}  // namespace jpegrt
