// A CUDA driver for tests of NCCL's binding: the calls that it makes, on one device without kernels.
// An address of the device is no address of the host: who reads it without a copy crashes.
#include <atomic>
#include <cstdlib>
#include <cstring>

#include "fake-device.h"

#define QD_API extern "C" __attribute__((visibility("default"))) int

namespace {

std::atomic<int> alive{0};
bool isInitialized = false;
thread_local bool hasContext = false;
int contextPlace;
int streamPlace;

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
  return ordinal >= 0 && ordinal < 8 ? OK : 101;
}

QD_API cuDevicePrimaryCtxRetain(void** context, int) {
  *context = &contextPlace;
  return OK;
}

/** Everything must have been given back. */
QD_API cuDevicePrimaryCtxRelease_v2(int) { return alive == 0 ? OK : INVALID_CONTEXT; }

QD_API cuCtxSetCurrent(void* context) {
  hasContext = context == &contextPlace;
  return OK;
}

QD_API cuMemAlloc_v2(std::uint64_t* address, std::size_t bytes) {
  if (!hasContext) return INVALID_CONTEXT;
  void* memory = std::malloc(bytes);
  std::memset(memory, 0xff, bytes);  // NaN
  alive++;
  *address = fake::deviceAddress(memory);
  return OK;
}

QD_API cuMemFree_v2(std::uint64_t address) {
  std::free(fake::hostPointer(address));
  alive--;
  return OK;
}

QD_API cuMemcpyHtoDAsync_v2(std::uint64_t to, const void* from, std::size_t bytes, void* stream) {
  if (!hasContext || stream != &streamPlace) return INVALID_CONTEXT;
  std::memcpy(fake::hostPointer(to), from, bytes);
  return OK;
}

QD_API cuMemcpyDtoHAsync_v2(void* to, std::uint64_t from, std::size_t bytes, void* stream) {
  if (!hasContext || stream != &streamPlace) return INVALID_CONTEXT;
  std::memcpy(to, fake::hostPointer(from), bytes);
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
