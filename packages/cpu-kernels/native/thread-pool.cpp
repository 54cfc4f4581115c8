#include "thread-pool.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <system_error>
#include <thread>
#include <vector>
#if defined(__linux__)
#include <sched.h>
#endif

#include "wait-word.h"

namespace qdylora {
namespace {

// How long a worker looks for its next turn before it sleeps: longer than what one thread does alone between
// two shared kernels of a layer that writes text (up to 150 µs; a wake-up costs 13 to 40 µs on Zen 4 and 20
// to 70 on Granite Rapids, in virtual machines, 2026), so short that JavaScript at work does not pay a core
// for it.
constexpr std::int64_t IDLE_SPIN_NANOSECONDS = 250'000;
// Inside a run all parts are at work, so a part that came first waits longer. Then it sleeps rather than
// yields: on a machine that others use, the core it gives up is the one that the system moves the late part
// to.
constexpr std::int64_t RUN_SPIN_NANOSECONDS = 50'000;
// The least time between two moves of a worker away from its caller's core.
constexpr std::int64_t MOVE_PAUSE_NANOSECONDS = 2'000'000;

#if defined(__linux__)
int currentCore() { return sched_getcpu(); }

// Moves the calling thread to another core than `core` if there is one for each of `threads`; afterwards it
// may run on any again.
// Without this two threads of a team that were woken on one core stay there for tens of milliseconds when the
// other cores are not idle: half the speed.
void leaveCore(int core, int threads) {
  cpu_set_t allowed, others;
  if (core < 0 || core >= CPU_SETSIZE || sched_getaffinity(0, sizeof allowed, &allowed) != 0 ||
      CPU_COUNT(&allowed) < threads)
    return;
  others = allowed;
  CPU_CLR(core, &others);
  if (sched_setaffinity(0, sizeof others, &others) == 0) sched_setaffinity(0, sizeof allowed, &allowed);
}
#else
int currentCore() { return -1; }
void leaveCore(int, int) {}
#endif

}  // namespace

struct Threads::State {
  struct Worker {
    WaitWord turns;  // rounds that this worker was called to
    std::thread thread;
  };
  std::vector<std::unique_ptr<Worker>> workers;
  WaitWord unfinished;          // other parts that have not ended the current round
  WaitWord crossings;           // barriers passed
  std::atomic<int> arrived{0};  // parts at the barrier
  std::atomic<bool> ending{false};
  // The current round. Written before `turns` is raised and read after, and a round cannot end before each of
  // its parts has.
  int parts = 1;
  int callerCore = -1;
  int count = 1;
  void (*call)(const void*, int) = nullptr;
  const void* body = nullptr;

  // What the thread of `worker` does until the team ends: its part of each round that it is called to.
  void work(Worker& worker, int part) {
    std::int64_t lastMove = 0;
    for (std::uint32_t turn = 0;; turn++) {
      worker.turns.waitWhile(turn, IDLE_SPIN_NANOSECONDS);
      if (ending.load(std::memory_order_acquire)) return;
      if (callerCore >= 0 && currentCore() == callerCore) {
        if (const std::int64_t now = nanoseconds(); now - lastMove >= MOVE_PAUSE_NANOSECONDS) {
          leaveCore(callerCore, count);
          lastMove = now;
        }
      }
      call(body, part);
      if (unfinished.value.fetch_sub(1) == 1) unfinished.wake();
    }
  }

  // Calls the workers of the parts [1, partCount) to a round, or to their end.
  void callWorkers(int partCount) {
    for (int part = 1; part < partCount; part++) {
      WaitWord& turns = workers[static_cast<std::size_t>(part - 1)]->turns;
      turns.value.fetch_add(1);
      turns.wake();
    }
  }
};

Threads::Threads(int count, bool isBatchInvariant)
    : state_(new State), count_(1), isBatchInvariant_(isBatchInvariant) {
  for (int part = 1; part < count; part++) {
    auto worker = std::make_unique<State::Worker>();
    try {
      worker->thread = std::thread([state = state_, self = worker.get(), part] { state->work(*self, part); });
    } catch (const std::system_error&) {
      break;
    }
    state_->workers.push_back(std::move(worker));
    count_ = part + 1;
  }
  state_->count = count_;
}

Threads::~Threads() {
  state_->ending.store(true, std::memory_order_release);
  state_->callWorkers(count_);
  for (auto& worker : state_->workers) worker->thread.join();
  delete state_;
}

void Threads::dispatch(int parts, void (*call)(const void*, int), const void* body) {
  State& s = *state_;
  parts_ = s.parts = parts;
  s.callerCore = currentCore();
  s.call = call;
  s.body = body;
  s.arrived.store(0, std::memory_order_relaxed);
  s.unfinished.value.store(static_cast<std::uint32_t>(parts - 1));
  s.callWorkers(parts);
  call(body, 0);
  for (std::uint32_t left; (left = s.unfinished.value.load(std::memory_order_acquire)) != 0;)
    s.unfinished.waitWhile(left, RUN_SPIN_NANOSECONDS);
}

void Threads::meet() {
  State& s = *state_;
  const std::uint32_t before = s.crossings.value.load(std::memory_order_acquire);
  if (s.arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == s.parts) {
    s.arrived.store(0, std::memory_order_relaxed);
    s.crossings.value.fetch_add(1);
    s.crossings.wake();
  } else {
    s.crossings.waitWhile(before, RUN_SPIN_NANOSECONDS);
  }
}

}  // namespace qdylora
