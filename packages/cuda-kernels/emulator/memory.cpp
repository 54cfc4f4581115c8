#include "memory.h"
#include <cstring>
#include "ptx.h"

namespace emulator {
namespace {

bool isOrdered(const Access& before, const Access& now) {
  if (before.thread == Access::NOBODY || before.thread == now.thread) return true;
  if (before.block != now.block) return false;
  if (before.blockEpoch < now.blockEpoch) return true;
  return before.thread != Access::SEVERAL && before.warp == now.warp && before.warpEpoch < now.warpEpoch;
}

std::string threadText(const Access& access) {
  if (access.thread == Access::SEVERAL) return "several threads of block " + std::to_string(access.block);
  return "thread " + std::to_string(access.thread - 1) + " of the grid";
}

}  // namespace

std::string Area::placeOf(std::size_t offset) const { return name + " at byte " + std::to_string(offset); }

std::size_t Area::checkedOffset(std::uint64_t address, std::size_t count, const char* verb) const {
  const std::uint64_t offset = address - base;
  if (offset > size || count > size - offset)
    throw Report(std::string(verb) + " out of bounds: " + placeOf(offset) + " and " + std::to_string(count) +
                 " bytes, of " + std::to_string(size));
  if (address % count != 0)
    throw Report(std::string(verb) + " " + placeOf(offset) + ", which is no multiple of " +
                 std::to_string(count));
  return offset;
}

std::uint8_t* Area::read(std::uint64_t address, std::size_t count, const Access& access, bool nc) {
  const std::size_t offset = checkedOffset(address, count, "reads");
  if (isUnwatched) return bytes + offset;
  if (nc && isWritable)
    throw Report("reads " + placeOf(offset) + " with .nc, but the launch writes this array");
  if (const void* missing = std::memchr(written + offset, 0, count))
    throw Report("reads " +
                 placeOf(static_cast<std::size_t>(static_cast<const std::uint8_t*>(missing) - written)) +
                 ", which nobody wrote");
  if (!shadows.empty())
    for (std::size_t k = offset / granule; k * granule < offset + count; k++) {
      Shadow& shadow = shadows[k];
      if (!isOrdered(shadow.write, access))
        throw Report("race: reads " + placeOf(k * granule) + ", which " + threadText(shadow.write) +
                     " wrote, with no barrier between");
      const bool isNewReader = shadow.read.thread != Access::NOBODY && !isOrdered(shadow.read, access);
      const bool isOtherBlock = isNewReader && shadow.read.block != access.block;
      shadow.read = access;
      if (isNewReader) shadow.read.thread = Access::SEVERAL;
      if (isOtherBlock) shadow.read.block = ~0u;  // readers of several blocks: no write is ordered with them
    }
  return bytes + offset;
}

std::uint8_t* Area::write(std::uint64_t address, std::size_t count, const Access& access) {
  const std::size_t offset = checkedOffset(address, count, "writes");
  if (isUnwatched) return bytes + offset;
  if (!isWritable) throw Report("writes " + placeOf(offset) + ", which is an input");
  for (std::size_t k = offset / granule; k * granule < offset + count; k++) {
    Shadow& shadow = shadows[k];
    for (const Access* before : {&shadow.write, &shadow.read})
      if (!isOrdered(*before, access))
        throw Report("race: writes " + placeOf(k * granule) + ", which " + threadText(*before) +
                     (before == &shadow.write ? " wrote" : " read") + ", with no barrier between");
    shadow.write = access;
  }
  std::memset(written + offset, 1, count);
  return bytes + offset;
}

void Area::markInFlight(std::uint64_t address, std::size_t count) {
  const std::size_t offset = checkedOffset(address, count, "copies to");
  std::memset(written + offset, 0, count);
}

}  // namespace emulator
