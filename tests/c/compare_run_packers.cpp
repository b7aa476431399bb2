// Packs runs of all densities by both packers; prints how many, exit code 1 if any differ.

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
  unsigned long runs = 0;
  for (int share = 0; share <= 64; ++share)
    for (const int limit : largest)
      for (const size_t count : {size_t{1}, size_t{2}, size_t{31}, size_t{kRunBlocks}}) {
        std::vector<int16_t> blocks(64 * count);
        for (int16_t& value : blocks)
          if (static_cast<int>(random() % 64) < share)
            value = static_cast<int16_t>(static_cast<int>(random() % (2u * limit + 2)) - limit - 1);
        std::vector<uint8_t> plain(DenseSize(count)), fast(DenseSize(count));
        const size_t plain_size = PackRunAnywhere(blocks.data(), count, plain.data());
        const size_t fast_size = FastestRunPacker()(blocks.data(), count, fast.data());
        if (plain_size != fast_size || std::memcmp(plain.data(), fast.data(), plain_size) != 0) {
          std::printf("%zu blocks, share %d, limit %d: %zu and %zu bytes\n", count, share, limit,
                      plain_size, fast_size);
          return 1;
        }
        ++runs;
      }
  std::printf("%lu runs\n", runs);
  return 0;
}
