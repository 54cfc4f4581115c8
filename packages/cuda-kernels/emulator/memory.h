// Memory that a kernel sees: the arrays of a launch and the shared memory of a block. Each access is checked:
// inside one array, aligned, allowed, written before it is read, and ordered with the accesses of other
// threads.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace emulator {

// Who makes an access, and after how many barriers of the block and of the warp.
struct Access {
  static constexpr std::uint32_t NOBODY = 0;
  static constexpr std::uint32_t SEVERAL = ~0u;
  std::uint32_t thread = NOBODY;  // 1 + its number in the grid
  std::uint32_t block = 0;
  std::uint32_t warp = 0;
  std::uint32_t blockEpoch = 0;
  std::uint32_t warpEpoch = 0;
};

// The last accesses of one granule of memory.
struct Shadow {
  Access write;
  Access read;
};

// Each array of a launch has addresses of its own: array k those from (k + 1) · ARRAY_WINDOW on.
constexpr std::uint64_t ARRAY_WINDOW = 1ull << 40;

// An array of a launch, or shared memory.
class Area {
 public:
  std::string name;
  std::uint64_t base = 0;
  std::uint8_t* bytes = nullptr;
  std::uint8_t* written = nullptr;  // one flag per byte
  std::size_t size = 0;
  std::size_t granule = 1;  // bytes of a shadow
  bool isWritable = false;
  // Memory of a whole device, of which an array is only a part: bounds and alignment are checked, no more.
  bool isUnwatched = false;
  std::vector<Shadow> shadows;  // empty where nobody writes

  // `nc`: a load that may be cached as if nobody wrote the array in this launch.
  std::uint8_t* read(std::uint64_t address, std::size_t count, const Access& access, bool nc);
  std::uint8_t* write(std::uint64_t address, std::size_t count, const Access& access);
  // The destination of an asynchronous copy that was begun: nobody may read it.
  void markInFlight(std::uint64_t address, std::size_t count);

 private:
  std::size_t checkedOffset(std::uint64_t address, std::size_t count, const char* verb) const;
  std::string placeOf(std::size_t offset) const;
};

}  // namespace emulator
