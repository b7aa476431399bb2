#include "thread_pool.h"

#include <algorithm>
#include <system_error>
#include <utility>

namespace jpegrt {

ThreadPool::ThreadPool(unsigned threads) {
  if (threads == 0) threads = std::max(1u, std::thread::hardware_concurrency());
  workers_.reserve(threads - 1);
  try {
    for (unsigned i = 1; i < threads; ++i) workers_.emplace_back([this] { Work(); });
  } catch (const std::system_error&) {
    // The system grants no more threads: the loops run on those there are.
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  start_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::ParallelFor(uint32_t count, const std::function<void(uint32_t, uint32_t)>& body) {
  const auto threads = static_cast<uint32_t>(workers_.size() + 1);
  if (threads == 1 || count <= 1) return body(0, count);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    body_ = &body;
    count_ = count;
    piece_ = std::max(1u, count / (4 * threads));  // several each, because threads are not equal
    next_ = 0;
    workers_busy_ = workers_.size();
    ++loops_started_;
  }
  start_.notify_all();
  TakePieces();
  std::unique_lock<std::mutex> lock(mutex_);
  finished_.wait(lock, [this] { return workers_busy_ == 0; });
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void ThreadPool::Work() {
  uint64_t loops_seen = 0;
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    start_.wait(lock, [&] { return stopping_ || loops_started_ != loops_seen; });
    if (stopping_) return;
    loops_seen = loops_started_;
    lock.unlock();
    TakePieces();
    lock.lock();
    if (--workers_busy_ == 0) finished_.notify_one();
  }
}

void ThreadPool::TakePieces() {
  try {
    for (;;) {
      const uint32_t first = next_.fetch_add(piece_);
      if (first >= count_) return;
      (*body_)(first, std::min(count_, first + piece_));
    }
  } catch (...) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!failure_) failure_ = std::current_exception();
  }
}

}  // namespace jpegrt
