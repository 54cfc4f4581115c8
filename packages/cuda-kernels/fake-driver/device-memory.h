// Memory of the fake device, and pinned memory of the host. Device memory is mapped, but nobody may access it
// while no work runs: a host that does ends at once. Each block ends at a page that stays closed, and begins
// as NaNs. Blocks that were freed are unmapped.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "memory.h"

namespace fake {

class DeviceMemory {
 public:
  std::size_t usedBytes = 0;

  // 0 where the system has none.
  std::uint64_t allocate(std::size_t bytes);
  bool free(std::uint64_t address);
  void freeAll();
  // All bytes from the address on are in one block.
  bool contains(std::uint64_t address, std::size_t bytes) const;
  std::size_t count() const { return blocks.size(); }
  // The blocks as the emulator sees them.
  std::vector<emulator::Area> areas() const;
  void open();
  void close();

 private:
  struct Block {
    std::size_t bytes;
    std::size_t mappedBytes;
    char* mapping;
  };
  std::map<std::uint64_t, Block> blocks;
  void protect(int access);
};

class PinnedMemory {
 public:
  std::uint64_t allocate(std::size_t bytes);
  bool free(std::uint64_t address);
  void freeAll();
  bool contains(std::uint64_t address, std::size_t bytes) const;
  std::size_t count() const { return blocks.size(); }

 private:
  std::map<std::uint64_t, std::size_t> blocks;
};

}  // namespace fake
