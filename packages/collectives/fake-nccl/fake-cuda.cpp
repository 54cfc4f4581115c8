// A CUDA driver for tests of NCCL's binding: the calls that it makes, on one device without kernels.
// An address of the device is no address of the host: who reads it without a copy crashes.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#define QD_API extern "C" __attribute__((visibility("default"))) int

namespace {

std::atomic<int> alive{0};
bool isInitialized = false;
thread_local bool hasContext = false;
thread_local int currentDevice = -1;
constexpr int DEVICES = 8;
int contextPlaces[DEVICES];
int streamPlace;

/** Bits of no address of the host. */
constexpr std::uint64_t DEVICE = std::uint64_t{0x0cda} << 48;

std::uint64_t deviceAddress(const void* memory) { return reinterpret_cast<std::uint64_t>(memory) ^ DEVICE; }
void* hostPointer(std::uint64_t address) { return reinterpret_cast<void*>(address ^ DEVICE); }

constexpr int OK = 0;
constexpr int INVALID_VALUE = 1;
constexpr int NOT_INITIALIZED = 3;
constexpr int INVALID_CONTEXT = 201;

}  // namespace

QD_API cuInit(unsigned) {
  isInitialized = true;
  return OK;
}

QD_API cuDeviceGet(int* device, int ordinal) {
  if (!isInitialized) return NOT_INITIALIZED;
  *device = ordinal;
  return ordinal >= 0 && ordinal < DEVICES ? OK : 101;
}

QD_API cuDevicePrimaryCtxRetain(void** context, int ordinal) {
  *context = &contextPlaces[ordinal];
  return OK;
}

/** Everything must have been given back. */
QD_API cuDevicePrimaryCtxRelease_v2(int) { return alive == 0 ? OK : INVALID_CONTEXT; }

QD_API cuCtxSetCurrent(void* context) {
  hasContext = context != nullptr;
  currentDevice = hasContext ? static_cast<int>(static_cast<int*>(context) - contextPlaces) : -1;
  return OK;
}

QD_API cuCtxGetDevice(int* ordinal) {
  *ordinal = currentDevice;
  return hasContext ? OK : INVALID_CONTEXT;
}

QD_API cuMemAlloc_v2(std::uint64_t* address, std::size_t bytes) {
  if (!hasContext) return INVALID_CONTEXT;
  void* memory = std::malloc(bytes);
  std::memset(memory, 0xff, bytes);  // NaN
  alive++;
  *address = deviceAddress(memory);
  return OK;
}

QD_API cuMemFree_v2(std::uint64_t address) {
  std::free(hostPointer(address));
  alive--;
  return OK;
}

QD_API cuMemcpyHtoDAsync_v2(std::uint64_t to, const void* from, std::size_t bytes, void* stream) {
  if (!hasContext || stream != &streamPlace) return INVALID_CONTEXT;
  std::memcpy(hostPointer(to), from, bytes);
  return OK;
}

QD_API cuMemcpyDtoHAsync_v2(void* to, std::uint64_t from, std::size_t bytes, void* stream) {
  if (!hasContext || stream != &streamPlace) return INVALID_CONTEXT;
  std::memcpy(to, hostPointer(from), bytes);
  return OK;
}

QD_API cuStreamCreate(void** stream, unsigned) {
  if (!hasContext) return INVALID_CONTEXT;
  alive++;
  *stream = &streamPlace;
  return OK;
}

QD_API cuStreamDestroy_v2(void* stream) {
  if (stream != &streamPlace) return INVALID_VALUE;
  alive--;
  return OK;
}

QD_API cuStreamSynchronize(void* stream) { return stream == &streamPlace ? OK : INVALID_VALUE; }

QD_API cuGetErrorName(int result, const char** name) {
  *name = result == INVALID_CONTEXT ? "CUDA_ERROR_INVALID_CONTEXT" : "CUDA_ERROR_UNKNOWN";
  return OK;
}
