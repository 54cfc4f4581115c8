// One block of a grid: its threads take turns, each stopped after any instruction as a seed says, and meet
// only where the kernel makes them.
#pragma once
#include "memory.h"
#include "ptx.h"

namespace emulator {

struct Launch {
  const Kernel* kernel = nullptr;
  unsigned grid[3] = {1, 1, 1};
  unsigned block[3] = {1, 1, 1};
  std::vector<std::uint8_t> parameters;
  std::vector<Area> arrays;
  std::uint64_t seed = 0;  // 0: each thread runs until it must wait
  std::uint64_t mostInstructions = 0;
  int approximation = 0;  // steps in the last place by which approximate functions are off: −1, 0 or 1
  // One flag for each conditional branch of the kernel, set where a thread takes it. Null: not asked for.
  std::uint8_t* taken = nullptr;
};

// Runs all blocks, one after another. Returns the number of instructions. Throws a Report.
std::uint64_t run(Launch& launch);

// A copy to shared memory that has begun and is not waited for.
struct PendingCopy {
  std::uint64_t target;
  std::uint64_t source;
  std::size_t count;
  int group;
};

struct Thread {
  enum class State : std::uint8_t { ready, atBarrier, inWarp, ended };
  State state = State::ready;
  int index = 0;
  int at = 0;  // the next instruction
  std::uint64_t* registers = nullptr;
  std::vector<PendingCopy> copies;
  int copyGroup = 0;
};

class Block {
 public:
  Block(Launch& launch, std::uint64_t number, std::uint64_t& executed);
  void run();

 private:
  static constexpr int WARP = 32;
  Launch& launch;
  const Kernel& kernel;
  const std::uint64_t number;
  std::uint64_t& executed;
  std::uint64_t random;
  std::vector<std::uint64_t> file;  // the registers of all threads
  std::vector<Thread> threads;
  std::vector<int> ready;
  std::vector<std::uint8_t> sharedBytes;
  std::vector<std::uint8_t> sharedWritten;
  Area shared;
  std::uint32_t blockEpoch = 0;
  std::vector<std::uint32_t> warpEpochs;

  std::uint64_t drawn(std::uint64_t limit);
  void fillRegisters();
  [[noreturn]] void fail(const Thread& thread, const std::string& problem) const;
  Access accessOf(const Thread& thread) const;

  // block.cpp: one thread
  void turn(Thread& thread);
  bool step(Thread& thread);
  void compute(Thread& thread, const Instruction& i);
  void load(Thread& thread, const Instruction& i);
  void store(Thread& thread, const Instruction& i);
  Area& areaOf(Space space, std::uint64_t& address);
  std::uint64_t addressOf(const Thread& thread, const Instruction& i, int which) const;
  void beginCopy(Thread& thread, const Instruction& i);
  void finishCopies(Thread& thread, int groupsLeft);

  // warp.cpp: threads together
  void wake(Thread& thread);
  void releaseBarrier();
  bool releaseWarp(int first, int count);
  std::uint32_t maskOf(const Thread& thread, int count) const;
  bool allArrived(const Thread& thread, std::uint32_t mask, int first, int count) const;
  void shuffle(const Instruction& i, std::uint32_t mask, int first);
  void voteOn(const Instruction& i, std::uint32_t mask, int first);
  [[noreturn]] void reportDeadlock() const;

  // matrix.cpp: a warp's small matrices
  void loadMatrices(const Instruction& i, int first);
  void multiply(const Instruction& i, int first);
  void multiplyQuadPairs(const Instruction& i, int first);
  void putSums(const Instruction& i, Thread& thread, const float* sums);
};

}  // namespace emulator
