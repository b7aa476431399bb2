// Fuzz target: any bytes as a graph that keeps tensors in a file of weights. Refused with a
// sentence, or what comes out needs no other file: reading it again, without the weights, changes
// nothing.

#include <cstdlib>
#include <string>

#include "external_tensors.h"

namespace {

void Expect(bool is_so) {
  if (!is_so) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string weights(1024, 'w');
  const std::string_view graph(reinterpret_cast<const char*>(bytes), size);
  try {
    const std::vector<uint8_t> whole = jpegrt::WithTensorsInside(graph, "weights.bin", weights);
    const std::string_view view(reinterpret_cast<const char*>(whole.data()), whole.size());
    Expect(jpegrt::WithTensorsInside(view, "", "") == whole);
  } catch (const jpegrt::GraphError& error) {
    Expect(*error.what());
  }
  return 0;
}
