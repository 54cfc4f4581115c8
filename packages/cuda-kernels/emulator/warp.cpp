// What threads do together: barriers, shuffles, votes.
#include <cstdio>
#include "block.h"

namespace emulator {
namespace {

std::string maskText(std::uint32_t mask) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%08x", mask);
  return text;
}

}  // namespace

void Block::wake(Thread& thread) {
  thread.state = Thread::State::ready;
  thread.at++;
  ready.push_back(thread.index);
}

// Called when no thread can run: all of them must be at one barrier.
void Block::releaseBarrier() {
  const Thread* first = nullptr;
  for (const Thread& thread : threads) {
    if (thread.state == Thread::State::inWarp) reportDeadlock();
    if (thread.state == Thread::State::atBarrier && !first) first = &thread;
  }
  if (!first) reportDeadlock();
  for (const Thread& thread : threads) {
    if (thread.state == Thread::State::ended)
      fail(*first, "divergent barrier: thread " + std::to_string(thread.index) + " has ended without it");
    if (thread.at != first->at)
      fail(*first, "divergent barrier: thread " + std::to_string(thread.index) + " is at another one");
  }
  const Instruction& i = kernel.code[static_cast<std::size_t>(first->at)];
  if (i.sourceCount != 1 || first->registers[i.sources[0]] != 0)
    fail(*first, "the emulator knows only bar.sync 0 of the whole block");
  blockEpoch++;
  for (Thread& thread : threads) wake(thread);
}

void Block::reportDeadlock() const {
  for (const Thread& thread : threads)
    if (thread.state == Thread::State::inWarp) fail(thread, "waits for lanes of its mask that do not come");
  throw Report(kernel.name + ": no thread can run");
}

// The lanes that an instruction names, without those past the end of the block. Matrices need all of them.
std::uint32_t Block::maskOf(const Thread& thread, int count) const {
  const Instruction& i = kernel.code[static_cast<std::size_t>(thread.at)];
  if (i.opcode == Opcode::mma || i.opcode == Opcode::ldmatrix) {
    if (count != WARP) fail(thread, "a product of matrices needs a whole warp");
    return ~0u;
  }
  const std::uint64_t mask = thread.registers[i.sources[i.sourceCount - 1]];
  return static_cast<std::uint32_t>(mask) & (count == WARP ? ~0u : (1u << count) - 1);
}

bool Block::allArrived(const Thread& thread, std::uint32_t mask, int first, int count) const {
  for (int lane = 0; lane < count; lane++) {
    if (!(mask >> lane & 1)) continue;
    const Thread& other = threads[static_cast<std::size_t>(first + lane)];
    if (other.state == Thread::State::ended)
      fail(thread, "waits for lane " + std::to_string(lane) + " of its mask, which has ended");
    if (other.state != Thread::State::inWarp || other.at != thread.at) return false;
    if (maskOf(other, count) != mask)
      fail(thread, "the mask " + maskText(mask) + " is not that of lane " + std::to_string(lane));
  }
  return true;
}

// Runs one instruction of a warp whose lanes have all come. False where there is none.
bool Block::releaseWarp(int first, int count) {
  for (int lane = 0; lane < count; lane++) {
    Thread& thread = threads[static_cast<std::size_t>(first + lane)];
    if (thread.state != Thread::State::inWarp) continue;
    const std::uint32_t mask = maskOf(thread, count);
    if (!(mask >> lane & 1)) fail(thread, "is not in its own mask " + maskText(mask));
    if (!allArrived(thread, mask, first, count)) continue;
    const Instruction& i = kernel.code[static_cast<std::size_t>(thread.at)];
    if (i.opcode == Opcode::shfl) shuffle(i, mask, first);
    if (i.opcode == Opcode::vote) voteOn(i, mask, first);
    if (i.opcode == Opcode::ldmatrix) loadMatrices(i, first);
    if (i.opcode == Opcode::mma && i.depth == 4) multiplyQuadPairs(i, first);
    if (i.opcode == Opcode::mma && i.depth != 4) multiply(i, first);
    const std::uint32_t wholeWarp = count == WARP ? ~0u : (1u << count) - 1;
    if (i.opcode == Opcode::warpBar && mask == wholeWarp)
      warpEpochs[static_cast<std::size_t>(first / WARP)]++;
    for (int other = 0; other < count; other++)
      if (mask >> other & 1) wake(threads[static_cast<std::size_t>(first + other)]);
    return true;
  }
  return false;
}

// The lane that `lane` reads, by PTX's formulas; `inRange` is the predicate result.
static int sourceLane(Shuffle mode, int lane, std::uint64_t b, std::uint64_t c, bool& inRange) {
  const int clamp = static_cast<int>(c & 31);
  const int segment = static_cast<int>(c >> 8 & 31);
  const int most = (lane & segment) | (clamp & ~segment);
  const int least = lane & segment;
  const int distance = static_cast<int>(b & 31);
  int source = lane;
  switch (mode) {
    case Shuffle::up:
      source = lane - distance;
      break;
    case Shuffle::down:
      source = lane + distance;
      break;
    case Shuffle::butterfly:
      source = lane ^ distance;
      break;
    case Shuffle::index:
      source = least | (distance & ~segment);
      break;
  }
  inRange = mode == Shuffle::up ? source >= most : source <= most;
  return inRange ? source : lane;
}

void Block::shuffle(const Instruction& i, std::uint32_t mask, int first) {
  std::uint64_t values[WARP] = {};
  bool inRange[WARP] = {};
  for (int lane = 0; lane < WARP; lane++) {
    if (!(mask >> lane & 1)) continue;
    const Thread& thread = threads[static_cast<std::size_t>(first + lane)];
    const int source = sourceLane(i.shuffle, lane, thread.registers[i.sources[1]],
                                  thread.registers[i.sources[2]], inRange[lane]);
    if (!(mask >> source & 1))
      fail(thread, "shuffles from lane " + std::to_string(source) + ", outside its mask " + maskText(mask));
    values[lane] = threads[static_cast<std::size_t>(first + source)].registers[i.sources[0]];
  }
  for (int lane = 0; lane < WARP; lane++) {
    if (!(mask >> lane & 1)) continue;
    std::uint64_t* registers = threads[static_cast<std::size_t>(first + lane)].registers;
    registers[i.destinations[0]] = truncated(values[lane], 4);
    if (i.destinationCount > 1) registers[i.destinations[1]] = inRange[lane];
  }
}

void Block::voteOn(const Instruction& i, std::uint32_t mask, int first) {
  std::uint32_t votes = 0;
  for (int lane = 0; lane < WARP; lane++)
    if (mask >> lane & 1 && threads[static_cast<std::size_t>(first + lane)].registers[i.sources[0]])
      votes |= 1u << lane;
  const std::uint64_t result = i.vote == Vote::ballot ? votes
                               : i.vote == Vote::any  ? votes != 0
                                                      : votes == mask;
  for (int lane = 0; lane < WARP; lane++)
    if (mask >> lane & 1)
      threads[static_cast<std::size_t>(first + lane)].registers[i.destinations[0]] = result;
}

}  // namespace emulator
