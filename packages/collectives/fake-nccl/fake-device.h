// How the fake driver and the fake NCCL hide memory of the device from the host.
#pragma once
#include <cstddef>
#include <cstdint>

namespace fake {

/** Bits of no address of the host. */
constexpr std::uint64_t DEVICE = std::uint64_t{0x0cda} << 48;

inline std::uint64_t deviceAddress(const void* memory) {
  return reinterpret_cast<std::uint64_t>(memory) ^ DEVICE;
}

inline char* hostPointer(std::uint64_t address) { return reinterpret_cast<char*>(address ^ DEVICE); }

inline char* hostPointer(const void* address) {
  return hostPointer(reinterpret_cast<std::uint64_t>(address));
}

}  // namespace fake
