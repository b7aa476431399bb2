// Packs runs of all densities by every packer that this machine can run; prints how many runs and
// packers, exit code 1 if any differ.

#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "pack_run.h"
#include "packed_format.h"

int main() {
  using namespace jpegrt;
  std::mt19937 random(1);
  const int largest[] = {1, 3, 126, 127, 128, 129, 300, 32767};
  RunPacker packers[kMostRunPackers];
  const size_t n_packers = RunPackers(packers);
  unsigned long runs = 0;
  for (int share = 0; share <= 64; ++share)
    for (const int limit : largest)
      for (const size_t count : {size_t{1}, size_t{2}, size_t{31}, size_t{kRunBlocks}}) {
        std::vector<int16_t> blocks(64 * count);
        for (int16_t& value : blocks)
          if (static_cast<int>(random() % 64) < share)
            value = static_cast<int16_t>(static_cast<int>(random() % (2u * limit + 2)) - limit - 1);
        std::vector<uint8_t> expected(DenseSize(count)), packed(DenseSize(count));
        const size_t size = packers[0](blocks.data(), count, expected.data());
        for (size_t i = 1; i < n_packers; ++i) {
          const size_t other = packers[i](blocks.data(), count, packed.data());
          if (other == size && std::memcmp(packed.data(), expected.data(), size) == 0) continue;
          std::printf("packer %zu: %zu blocks, share %d, limit %d: %zu bytes, expected %zu\n", i,
                      count, share, limit, other, size);
          return 1;
        }
        ++runs;
      }
  std::printf("%lu runs, %zu packers\n", runs, n_packers);
  return 0;
}
