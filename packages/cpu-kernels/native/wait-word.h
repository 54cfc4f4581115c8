#pragma once
#include <atomic>
#include <cstdint>
#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#else
#include <condition_variable>
#include <mutex>
#endif
#include <time.h>

namespace qdylora {

inline std::int64_t nanoseconds() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

inline void pauseBriefly() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// A number that threads wait on until it changes: they look at it for a while, then sleep until `wake`.
// Whoever changes it calls `wake` after that.
// In a cache line of its own. A change and the count of sleepers are both sequentially consistent, so one of
// the two sides always sees the other.
class alignas(64) WaitWord {
 public:
  std::atomic<std::uint32_t> value{0};

  // Returns once value != oldValue. `spinNanoseconds`: how long to look before sleeping; the clock is read
  // every 32 looks, since a pause lasts 40 to 140 cycles.
  void waitWhile(std::uint32_t oldValue, std::int64_t spinNanoseconds) {
    for (std::int64_t end = nanoseconds() + spinNanoseconds;;) {
      for (int i = 0; i < 32; i++) {
        if (value.load(std::memory_order_acquire) != oldValue) return;
        pauseBriefly();
      }
      if (nanoseconds() >= end) break;
    }
    sleepers_.fetch_add(1);
    while (value.load() == oldValue) sleep(oldValue);
    sleepers_.fetch_sub(1);
  }

  void wake() {
    if (sleepers_.load() != 0) wakeSleepers();
  }

 private:
  std::atomic<int> sleepers_{0};
#if defined(__linux__)
  static_assert(sizeof(std::atomic<std::uint32_t>) == 4);
  void sleep(std::uint32_t oldValue) {
    syscall(SYS_futex, &value, FUTEX_WAIT_PRIVATE, oldValue, nullptr, nullptr, 0);
  }
  void wakeSleepers() { syscall(SYS_futex, &value, FUTEX_WAKE_PRIVATE, 0x7fffffff, nullptr, nullptr, 0); }
#else
  std::mutex mutex_;
  std::condition_variable changed_;
  void sleep(std::uint32_t oldValue) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return value.load() != oldValue; });
  }
  void wakeSleepers() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
    }
    changed_.notify_all();
  }
#endif
};

}  // namespace qdylora
