#include "block.h"
#include <cstring>

namespace emulator {
namespace {

constexpr std::uint64_t LONGEST_TURN = 24;  // instructions of a thread before another one gets its turn
constexpr std::uint64_t UNWRITTEN_REGISTER = 0xdeadbeefdeadbeefull;

}  // namespace

Block::Block(Launch& launch, std::uint64_t number, std::uint64_t& executed)
    : launch(launch), kernel(*launch.kernel), number(number), executed(executed) {
  random = launch.seed * 0x9e3779b97f4a7c15ull + number;
  const std::size_t count = static_cast<std::size_t>(launch.block[0]) * launch.block[1] * launch.block[2];
  threads.resize(count);
  warpEpochs.assign((count + WARP - 1) / WARP, 0);
  sharedBytes.assign(kernel.sharedBytes, 0xff);
  sharedWritten.assign(kernel.sharedBytes, 0);
  shared.name = "shared memory";
  shared.bytes = sharedBytes.data();
  shared.written = sharedWritten.data();
  shared.size = kernel.sharedBytes;
  shared.isWritable = true;
  shared.shadows.resize(kernel.sharedBytes);
  fillRegisters();
}

void Block::fillRegisters() {
  const std::size_t size = static_cast<std::size_t>(kernel.fileSize());
  file.assign(size * threads.size(), UNWRITTEN_REGISTER);
  const unsigned* dims = launch.block;
  for (std::size_t t = 0; t < threads.size(); t++) {
    std::uint64_t* registers = file.data() + t * size;
    threads[t].index = static_cast<int>(t);
    threads[t].registers = registers;
    registers[TID_X] = t % dims[0];
    registers[TID_Y] = t / dims[0] % dims[1];
    registers[TID_Z] = t / dims[0] / dims[1];
    for (int k = 0; k < 3; k++) {
      registers[NTID_X + k] = dims[k];
      registers[NCTAID_X + k] = launch.grid[k];
    }
    registers[CTAID_X] = number % launch.grid[0];
    registers[CTAID_Y] = number / launch.grid[0] % launch.grid[1];
    registers[CTAID_Z] = number / launch.grid[0] / launch.grid[1];
    registers[LANE] = t % WARP;
    std::memcpy(registers + kernel.firstConstant, kernel.constants.data(), 8 * kernel.constants.size());
  }
}

std::uint64_t Block::drawn(std::uint64_t limit) {
  random = random * 6364136223846793005ull + 1442695040888963407ull;
  return (random >> 33) % limit;
}

void Block::fail(const Thread& thread, const std::string& problem) const {
  throw Report(kernel.name + ", block " + std::to_string(number) + ", thread " +
               std::to_string(thread.index) + ": " + problem + ", at `" +
               kernel.code[static_cast<std::size_t>(thread.at)].text + "` (seed " +
               std::to_string(launch.seed) + ")");
}

Access Block::accessOf(const Thread& thread) const {
  Access access;
  access.thread =
      static_cast<std::uint32_t>(number * threads.size() + static_cast<std::size_t>(thread.index) + 1);
  access.block = static_cast<std::uint32_t>(number);
  access.warp = static_cast<std::uint32_t>(thread.index / WARP);
  access.blockEpoch = blockEpoch;
  access.warpEpoch = warpEpochs[access.warp];
  return access;
}

void Block::run() {
  for (std::size_t t = 0; t < threads.size(); t++) ready.push_back(static_cast<int>(t));
  std::size_t ended = 0;
  while (ended < threads.size()) {
    if (ready.empty()) releaseBarrier();
    const std::size_t place = launch.seed ? drawn(ready.size()) : 0;
    Thread& thread = threads[static_cast<std::size_t>(ready[place])];
    turn(thread);
    if (thread.state == Thread::State::ready) continue;
    if (launch.seed == 0)
      ready.erase(ready.begin());
    else {
      ready[place] = ready.back();
      ready.pop_back();
    }
    if (thread.state == Thread::State::ended) ended++;
    if (thread.state == Thread::State::inWarp || thread.state == Thread::State::ended) {
      const int first = thread.index / WARP * WARP;
      const int rest = static_cast<int>(threads.size()) - first;
      while (releaseWarp(first, rest < WARP ? rest : WARP)) {
      }
    }
  }
}

void Block::turn(Thread& thread) {
  std::uint64_t budget = launch.seed ? 1 + drawn(LONGEST_TURN) : ~0ull;
  try {
    while (budget-- > 0 && step(thread)) {
    }
  } catch (const Report& report) {
    fail(thread, report.what());
  }
}

// One instruction. False where the thread must wait or has ended.
bool Block::step(Thread& thread) {
  const Instruction& i = kernel.code[static_cast<std::size_t>(thread.at)];
  if (++executed > launch.mostInstructions)
    throw Report("the launch runs more than " + std::to_string(launch.mostInstructions) + " instructions");
  if (i.guard >= 0 && (thread.registers[i.guard] != 0) == i.guardIsNegated) {
    thread.at++;
    return true;
  }
  switch (i.opcode) {
    case Opcode::bra:
      if (launch.taken && i.branch >= 0) launch.taken[i.branch] = 1;
      thread.at = i.target;
      return true;
    case Opcode::ret:
      if (!thread.copies.empty()) throw Report("ends before it has waited for its cp.async");
      thread.state = Thread::State::ended;
      return false;
    case Opcode::trap:
      throw Report("reaches a trap");
    case Opcode::bar:
      thread.state = Thread::State::atBarrier;
      return false;
    case Opcode::ldmatrix:
    case Opcode::mma:
    case Opcode::shfl:
    case Opcode::vote:
    case Opcode::warpBar:
      thread.state = Thread::State::inWarp;
      return false;
    case Opcode::activemask:  // PTX promises no more than the thread itself
      thread.registers[i.destinations[0]] = 1ull << thread.index % WARP;
      break;
    case Opcode::fence:
      break;
    case Opcode::ld:
      load(thread, i);
      break;
    case Opcode::st:
      store(thread, i);
      break;
    case Opcode::cpAsync:
      beginCopy(thread, i);
      break;
    case Opcode::cpCommit:
      thread.copyGroup++;
      break;
    case Opcode::cpWait:
      finishCopies(thread, i.sourceCount > 0 ? static_cast<int>(thread.registers[i.sources[0]]) : -1);
      break;
    default:
      compute(thread, i);
  }
  thread.at++;
  return true;
}

void Block::compute(Thread& thread, const Instruction& i) {
  std::uint64_t* registers = thread.registers;
  if (i.opcode == Opcode::mov && (i.destinationCount > 1 || i.sourceCount > 1)) {  // pack or unpack a vector
    const int parts = i.destinationCount > 1 ? i.destinationCount : i.sourceCount;
    const int bits = 8 * i.type.bytes / parts;
    std::uint64_t packed = i.sourceCount > 1 ? 0 : registers[i.sources[0]];
    for (int k = i.sourceCount - 1; k >= 0 && i.sourceCount > 1; k--)
      packed = packed << bits | truncated(registers[i.sources[k]], bits / 8);
    if (i.destinationCount == 1) registers[i.destinations[0]] = packed;
    for (int k = 0; k < i.destinationCount && i.destinationCount > 1; k++)
      registers[i.destinations[k]] = truncated(packed >> k * bits, bits / 8);
    return;
  }
  std::uint64_t operands[MOST_OPERANDS] = {};
  for (int k = 0; k < i.sourceCount; k++) operands[k] = registers[i.sources[k]];
  if (i.negatesLast) operands[i.sourceCount - 1] = !operands[i.sourceCount - 1];
  const std::uint64_t result = evaluate(i, operands, launch.approximation);
  registers[i.destinations[0]] = result;
  if (i.destinationCount > 1) registers[i.destinations[1]] = !result;  // setp p|q
}

std::uint64_t Block::addressOf(const Thread& thread, const Instruction& i, int which) const {
  return thread.registers[i.address[which]] + static_cast<std::uint64_t>(i.offset[which]);
}

Area& Block::areaOf(Space space, std::uint64_t& address) {
  if (space == Space::global && address >= SHARED_WINDOW) {
    address -= SHARED_WINDOW;
    return shared;
  }
  if (space == Space::shared) {
    address = truncated(address, 4);
    return shared;
  }
  const std::uint64_t window = address / ARRAY_WINDOW;
  if (window >= 1 && window <= launch.arrays.size() && !launch.arrays[window - 1].isUnwatched)
    return launch.arrays[window - 1];
  for (Area& area : launch.arrays)  // at their addresses on the device
    if (area.isUnwatched && address - area.base < area.size) return area;
  throw Report("address " + std::to_string(address) + " is in no array of the launch");
}

void Block::load(Thread& thread, const Instruction& i) {
  std::uint64_t address = addressOf(thread, i, 0);
  const std::size_t bytes = i.type.bytes;
  const std::size_t count = bytes * static_cast<std::size_t>(i.elements);
  const std::uint8_t* source;
  if (i.space == Space::parameter) {
    if (address + count > launch.parameters.size()) throw Report("reads past the parameters");
    source = launch.parameters.data() + address;
  } else {
    source = areaOf(i.space, address).read(address, count, accessOf(thread), i.isReadOnly);
  }
  for (int k = 0; k < i.destinationCount; k++) {
    std::uint64_t value = 0;
    std::memcpy(&value, source + static_cast<std::size_t>(k) * bytes, bytes);
    if (i.type.isSigned() && bytes < 8) {
      const int unused = 64 - 8 * static_cast<int>(bytes);
      value = static_cast<std::uint64_t>(static_cast<std::int64_t>(value << unused) >> unused);
    }
    thread.registers[i.destinations[k]] = value;
  }
}

void Block::store(Thread& thread, const Instruction& i) {
  std::uint64_t address = addressOf(thread, i, 0);
  const std::size_t bytes = i.type.bytes;
  Area& area = areaOf(i.space, address);
  std::uint8_t* target = area.write(address, bytes * static_cast<std::size_t>(i.elements), accessOf(thread));
  for (int k = 0; k < i.sourceCount; k++)
    std::memcpy(target + static_cast<std::size_t>(k) * bytes, &thread.registers[i.sources[k]], bytes);
}

// cp.async copies as late as it may: when the thread waits for it. Until then nobody may read the target.
void Block::beginCopy(Thread& thread, const Instruction& i) {
  if (i.sourceCount != 1) throw Report("the emulator knows cp.async only with one size");
  const PendingCopy copy{truncated(addressOf(thread, i, 0), 4), addressOf(thread, i, 1),
                         static_cast<std::size_t>(thread.registers[i.sources[0]]), thread.copyGroup};
  shared.markInFlight(copy.target, copy.count);
  thread.copies.push_back(copy);
}

void Block::finishCopies(Thread& thread, int groupsLeft) {
  std::vector<PendingCopy> later;
  for (const PendingCopy& copy : thread.copies) {
    if (groupsLeft >= 0 && copy.group + groupsLeft >= thread.copyGroup) {
      later.push_back(copy);
      continue;
    }
    std::uint64_t address = copy.source;
    const std::uint8_t* source =
        areaOf(Space::global, address).read(address, copy.count, accessOf(thread), false);
    std::memcpy(shared.write(copy.target, copy.count, accessOf(thread)), source, copy.count);
  }
  thread.copies = later;
}

std::uint64_t run(Launch& launch) {
  std::uint64_t executed = 0;
  const std::uint64_t blocks = static_cast<std::uint64_t>(launch.grid[0]) * launch.grid[1] * launch.grid[2];
  for (std::uint64_t number = 0; number < blocks; number++) {
    // With a seed, blocks run in a turned order: none may count on an earlier one.
    const std::uint64_t chosen = launch.seed ? (number + launch.seed) % blocks : number;
    Block(launch, chosen, executed).run();
  }
  return executed;
}

}  // namespace emulator
