#include "thread-pool.h"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace qdylora {
namespace {

// About 120 µs of pauses on Zen 4 (2026): longer than the gap between two shared kernels of a layer that writes text (a wake-up costs 40), shorter than a time slice.
constexpr int SPINS = 10000;
// Inside a run all parts are at work, so a barrier waits longer before it gives its core away (the core may be shared).
constexpr int BARRIER_SPINS = 4000;

inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Spins while `waiting()`, then gives the core away between looks.
template <class Waiting>
void spinThenYield(int spins, const Waiting& waiting) {
  for (int i = 0; waiting(); i++) {
    if (i < spins) pause();
    else std::this_thread::yield();
  }
}

}  // namespace

struct Threads::State {
  std::vector<std::thread> workers;
  std::mutex mutex;
  std::condition_variable wake;
  // (round << 16) | parts: one word, so that a worker that wakes late never pairs one round with another's number of parts.
  std::atomic<std::uint64_t> order{0};
  std::atomic<int> unfinished{0};      // other parts that have not ended the current round
  std::atomic<int> arrived{0};         // parts at the barrier
  std::atomic<unsigned> crossings{0};  // barriers passed
  std::atomic<bool> ending{false};
  int parts = 1;
  void (*call)(const void*, int) = nullptr;
  const void* body = nullptr;

  void work(int part) {
    for (std::uint64_t seen = 0;;) {
      for (int i = 0; i < SPINS && order.load(std::memory_order_acquire) == seen; i++) pause();
      if (order.load(std::memory_order_acquire) == seen) {
        std::unique_lock<std::mutex> lock(mutex);
        wake.wait(lock, [&] { return order.load(std::memory_order_acquire) != seen; });
      }
      seen = order.load(std::memory_order_acquire);
      if (ending.load(std::memory_order_acquire)) return;
      if (part >= static_cast<int>(seen & 0xffff)) continue;
      call(body, part);  // the round cannot end before this part has, so call and body are this round's
      unfinished.fetch_sub(1, std::memory_order_acq_rel);
    }
  }

  void begin(int count) {
    { std::lock_guard<std::mutex> lock(mutex); order.store((((order.load() >> 16) + 1) << 16) | static_cast<unsigned>(count), std::memory_order_release); }
    wake.notify_all();
  }
};

Threads::Threads(int count, bool isBatchInvariant) : state_(new State), count_(1), isBatchInvariant_(isBatchInvariant) {
  for (int part = 1; part < count; part++) {
    try { state_->workers.emplace_back([state = state_, part] { state->work(part); }); }
    catch (const std::system_error&) { break; }
    count_ = part + 1;
  }
}

Threads::~Threads() {
  state_->ending.store(true, std::memory_order_release);
  state_->begin(0);
  for (auto& worker : state_->workers) worker.join();
  delete state_;
}

void Threads::dispatch(int parts, void (*call)(const void*, int), const void* body) {
  State& s = *state_;
  parts_ = s.parts = parts;
  s.call = call;
  s.body = body;
  s.arrived.store(0, std::memory_order_relaxed);
  s.unfinished.store(parts - 1, std::memory_order_release);
  s.begin(parts);
  call(body, 0);
  spinThenYield(BARRIER_SPINS, [&] { return s.unfinished.load(std::memory_order_acquire) != 0; });
}

void Threads::meet() {
  State& s = *state_;
  const unsigned before = s.crossings.load(std::memory_order_acquire);
  if (s.arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == s.parts) {
    s.arrived.store(0, std::memory_order_relaxed);
    s.crossings.fetch_add(1, std::memory_order_acq_rel);
  } else {
    spinThenYield(BARRIER_SPINS, [&] { return s.crossings.load(std::memory_order_acquire) == before; });
  }
}

}  // namespace qdylora
