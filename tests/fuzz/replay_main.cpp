// Drives a fuzz target without libFuzzer: the files given, then mutations of them for a while, in
// several threads. The same arguments give the same mutations in the same order.
//
// usage: replay SECONDS THREADS FILE...

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <thread>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

namespace {

using Bytes = std::vector<uint8_t>;

class Mutator {
 public:
  Mutator(const std::vector<Bytes>& corpus, uint32_t seed) : corpus_(corpus), random_(seed) {}

  Bytes Next() {
    Bytes bytes = corpus_[Below(corpus_.size())];
    for (size_t i = 1 + Below(6); i > 0 && bytes.size() > 4; --i) Mutate(bytes);
    return bytes;
  }

 private:
  size_t Below(size_t end) { return random_() % end; }

  // Half of the changes go to the first bytes, where the headers are.
  size_t Position(const Bytes& bytes) {
    if (bytes.empty()) return 0;
    return Below(Below(2) == 0 ? std::min<size_t>(bytes.size(), 700) : bytes.size());
  }

  void Mutate(Bytes& bytes) {
    const size_t at = Position(bytes);
    const auto here = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    const size_t length = std::min(1 + Below(40), bytes.size() - at);
    const auto end = here + static_cast<std::ptrdiff_t>(length);
    switch (Below(8)) {
      case 0:
        *here ^= static_cast<uint8_t>(1u << Below(8));
        break;
      case 1:
        *here = static_cast<uint8_t>(Below(256));
        break;
      case 2:
        *here = Below(2) ? 0xFF : 0;
        break;
      case 3:
        bytes.erase(here, end);
        break;
      case 4: {
        const Bytes copy(here, end);
        const size_t to = Position(bytes);
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(to), copy.begin(), copy.end());
        break;
      }
      case 5: {  // a marker, with whatever follows as its segment
        *here = 0xFF;
        if (at + 1 < bytes.size()) bytes[at + 1] = static_cast<uint8_t>(0xC0 + Below(64));
        break;
      }
      case 6: {  // the rest of another file
        const Bytes& other = corpus_[Below(corpus_.size())];
        bytes.resize(at);
        bytes.insert(bytes.end(), other.begin() + static_cast<std::ptrdiff_t>(Position(other)),
                     other.end());
        break;
      }
      default:
        if (Below(4) == 0) bytes.resize(at);
    }
  }

  const std::vector<Bytes>& corpus_;
  std::mt19937 random_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: replay SECONDS THREADS FILE...\n");
    return 2;
  }
  std::vector<Bytes> corpus;
  for (int i = 3; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    LLVMFuzzerTestOneInput(corpus.back().data(), corpus.back().size());
  }

  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::seconds(std::atoi(argv[1]));
  std::vector<std::thread> threads;
  std::vector<unsigned long> counts(std::strtoul(argv[2], nullptr, 10));
  for (size_t t = 0; t < counts.size(); ++t)
    threads.emplace_back([&corpus, &counts, end, t] {
      Mutator mutator(corpus, static_cast<uint32_t>(t));
      unsigned long count = 0;
      for (; Clock::now() < end; ++count) {
        // A copy of exactly its size, so that reading beyond it is found.
        const Bytes bytes = mutator.Next();
        const Bytes exact(bytes.begin(), bytes.end());
        LLVMFuzzerTestOneInput(exact.data(), exact.size());
      }
      counts[t] = count;
    });
  unsigned long total = 0;
  for (size_t t = 0; t < threads.size(); ++t) {
    threads[t].join();
    total += counts[t];
  }
  std::printf("%lu inputs\n", total);
  return 0;
}
