// Adds the time it lives to one of a session's timings.
#pragma once

#include <chrono>

namespace jpegrt {

class Stopwatch {
 public:
  explicit Stopwatch(double* total_ms) : total_ms_(total_ms) {}
  ~Stopwatch() {
    const std::chrono::duration<double, std::milli> elapsed = Clock::now() - start_;
    *total_ms_ += elapsed.count();
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  using Clock = std::chrono::steady_clock;
  double* total_ms_;
  Clock::time_point start_ = Clock::now();
};

}  // namespace jpegrt
