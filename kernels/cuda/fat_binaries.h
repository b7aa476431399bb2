// The compiled kernels, embedded in the library: for each .cu file one fat binary with the code of
// every architecture.
#pragma once

#include <vector>

namespace jpegrt::cuda {

struct FatBinary {
  const void* image;
  std::vector<const char*> kernels;  // entry points
};

// Empty if the library was built without nvcc.
const std::vector<FatBinary>& FatBinaries();

}  // namespace jpegrt::cuda
