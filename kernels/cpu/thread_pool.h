// Threads that wait between images, for loops whose iterations are independent.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace jpegrt {

class ThreadPool {
 public:
  explicit ThreadPool(unsigned threads);  // including the caller's; 0 = one per core
  ~ThreadPool();

  // Calls body(first, last) until [0, count) is covered, in pieces, on all threads; returns when
  // done. What body throws is thrown here once all threads have stopped.
  void ParallelFor(uint32_t count, const std::function<void(uint32_t, uint32_t)>& body);

 private:
  void Work();
  void TakePieces();

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable start_, finished_;
  uint64_t loops_started_ = 0;
  size_t workers_busy_ = 0;
  bool stopping_ = false;

  const std::function<void(uint32_t, uint32_t)>* body_ = nullptr;
  uint32_t count_ = 0, piece_ = 1;
  std::atomic<uint32_t> next_{0};
  std::exception_ptr failure_;  // the first; under mutex_
};

}  // namespace jpegrt
