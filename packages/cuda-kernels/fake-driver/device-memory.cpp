#include "device-memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

namespace fake {
namespace {

constexpr std::size_t PAGE = 4096;
constexpr std::size_t ALIGNMENT = 256;  // of an address, as the driver promises it
constexpr int NAN_BYTE = 0xff;          // four of them are a NaN, and two of them one in bfloat16

std::size_t roundedUp(std::size_t bytes, std::size_t unit) { return (bytes + unit - 1) / unit * unit; }

}  // namespace

std::uint64_t DeviceMemory::allocate(std::size_t bytes) {
  const std::size_t pages = roundedUp(bytes, PAGE);
  void* mapping =
      mmap(nullptr, pages + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return 0;
  std::memset(mapping, NAN_BYTE, pages);
  mprotect(mapping, pages + PAGE, PROT_NONE);
  char* start = static_cast<char*>(mapping) + (pages - roundedUp(bytes, ALIGNMENT));
  const std::uint64_t address = reinterpret_cast<std::uint64_t>(start);
  blocks[address] = {bytes, pages, static_cast<char*>(mapping)};
  usedBytes += bytes;
  return address;
}

bool DeviceMemory::free(std::uint64_t address) {
  const auto found = blocks.find(address);
  if (found == blocks.end()) return false;
  munmap(found->second.mapping, found->second.mappedBytes + PAGE);
  usedBytes -= found->second.bytes;
  blocks.erase(found);
  return true;
}

void DeviceMemory::freeAll() {
  while (!blocks.empty()) free(blocks.begin()->first);
}

bool DeviceMemory::contains(std::uint64_t address, std::size_t bytes) const {
  auto after = blocks.upper_bound(address);
  if (after == blocks.begin()) return false;
  const auto& [start, block] = *--after;
  return address + bytes <= start + block.bytes;
}

std::vector<emulator::Area> DeviceMemory::areas() const {
  std::vector<emulator::Area> areas;
  for (const auto& [address, block] : blocks) {
    emulator::Area area;
    area.name = "a block of the device";
    area.base = address;
    area.bytes = reinterpret_cast<std::uint8_t*>(address);
    area.size = block.bytes;
    area.isWritable = true;
    area.isUnwatched = true;
    areas.push_back(area);
  }
  return areas;
}

void DeviceMemory::protect(int access) {
  for (const auto& [address, block] : blocks) mprotect(block.mapping, block.mappedBytes, access);
}

void DeviceMemory::open() { protect(PROT_READ | PROT_WRITE); }
void DeviceMemory::close() { protect(PROT_NONE); }

std::uint64_t PinnedMemory::allocate(std::size_t bytes) {
  void* memory = std::aligned_alloc(PAGE, roundedUp(bytes, PAGE));
  if (!memory) return 0;
  const std::uint64_t address = reinterpret_cast<std::uint64_t>(memory);
  blocks[address] = bytes;
  return address;
}

bool PinnedMemory::free(std::uint64_t address) {
  if (blocks.erase(address) == 0) return false;
  std::free(reinterpret_cast<void*>(address));
  return true;
}

void PinnedMemory::freeAll() {
  while (!blocks.empty()) free(blocks.begin()->first);
}

bool PinnedMemory::contains(std::uint64_t address, std::size_t bytes) const {
  auto after = blocks.upper_bound(address);
  if (after == blocks.begin()) return false;
  const auto& [start, length] = *--after;
  return address + bytes <= start + length;
}

}  // namespace fake
