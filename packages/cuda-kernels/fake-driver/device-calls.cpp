// Calls on the driver, its devices, contexts and memory.
#include <cstdio>
#include <cstring>

#include "api.h"

using namespace fake;

namespace {

enum Attribute {
  MAX_THREADS_PER_BLOCK = 1,
  WARP_SIZE = 10,
  MULTIPROCESSORS = 16,
  PCI_BUS = 33,
  PCI_DEVICE = 34,
  PCI_DOMAIN = 50,
  MAJOR = 75,
  MINOR = 76
};

constexpr int FIRST_BUS = 0x17;
constexpr int MOST_DEVICES = 16;

bool isDevice(int ordinal) { return ordinal >= 0 && ordinal < device().settings.devices; }

char primaryContexts[MOST_DEVICES];  // the handle of a context: its address
thread_local int currentDevice = -1;

int deviceOf(const void* context) {
  for (int ordinal = 0; ordinal < MOST_DEVICES; ordinal++)
    if (context == &primaryContexts[ordinal]) return ordinal;
  return -1;
}

}  // namespace

namespace fake {

Device& device() {
  static Device& instance = *new Device;  // never destroyed: threads may call until the process ends
  return instance;
}

}  // namespace fake

QD_API cuInit(unsigned) {
  return call("cuInit", [] {
    if (device().settings.devices == 0) return static_cast<int>(NO_DEVICE);
    device().isInitialized = true;
    return static_cast<int>(OK);
  });
}

QD_API cuDriverGetVersion(int* version) {
  return call("cuDriverGetVersion", [=] {
    *version = device().settings.driver;
    return OK;
  });
}

QD_API cuDeviceGetCount(int* count) {
  return call("cuDeviceGetCount", [=] {
    *count = device().settings.devices;
    return OK;
  });
}

QD_API cuDeviceGet(int* handle, int ordinal) {
  return call("cuDeviceGet", [=] {
    *handle = ordinal;
    return isDevice(ordinal) ? OK : INVALID_DEVICE;
  });
}

QD_API cuDeviceGetName(char* name, int length, int ordinal) {
  return call("cuDeviceGetName", [=] {
    std::snprintf(name, static_cast<std::size_t>(length), "Fake GPU");
    return isDevice(ordinal) ? OK : INVALID_DEVICE;
  });
}

QD_API cuDeviceTotalMem_v2(std::size_t* bytes, int ordinal) {
  return call("cuDeviceTotalMem_v2", [=] {
    *bytes = device().settings.memoryBytes;
    return isDevice(ordinal) ? OK : INVALID_DEVICE;
  });
}

QD_API cuDeviceGetAttribute(int* value, int attribute, int ordinal) {
  return call("cuDeviceGetAttribute", [=] {
    const int capability = device().settings.capability;
    switch (attribute) {
      case MAX_THREADS_PER_BLOCK:
        *value = 1024;
        break;
      case WARP_SIZE:
        *value = 32;
        break;
      case MULTIPROCESSORS:
        *value = 2;
        break;
      case PCI_BUS:
        *value = FIRST_BUS + ordinal;
        break;
      case PCI_DEVICE:
      case PCI_DOMAIN:
        *value = 0;
        break;
      case MAJOR:
        *value = capability / 10;
        break;
      case MINOR:
        *value = capability % 10;
        break;
      default:
        return INVALID_VALUE;
    }
    return isDevice(ordinal) ? OK : INVALID_DEVICE;
  });
}

QD_API cuDevicePrimaryCtxRetain(void** context, int ordinal) {
  return call("cuDevicePrimaryCtxRetain", [=] {
    if (!isDevice(ordinal)) return INVALID_DEVICE;
    device().contexts++;
    device().retained = ordinal;
    *context = &primaryContexts[ordinal];
    return OK;
  });
}

QD_API cuDevicePrimaryCtxRelease_v2(int) {
  return release("cuDevicePrimaryCtxRelease_v2", [] {
    if (device().contexts == 0) return INVALID_CONTEXT;
    device().contexts--;
    // With the last reference the driver destroys the context and all that is in it. Here that happens only
    // on a lost device, where no call can return anything: else the log would hide what a backend forgot.
    if (device().contexts == 0 && device().lostBy()) device().forgetAll();
    return OK;
  });
}

QD_API cuCtxSetCurrent(void* context) {
  return call("cuCtxSetCurrent", [=] {
    const int ordinal = deviceOf(context);
    if (context && ordinal < 0) return INVALID_CONTEXT;
    currentDevice = ordinal;
    return OK;
  });
}

QD_API cuCtxGetDevice(int* handle) {
  return call("cuCtxGetDevice", [=] {
    *handle = currentDevice;
    return currentDevice < 0 ? INVALID_CONTEXT : OK;
  });
}

QD_API cuMemGetInfo_v2(std::size_t* freeBytes, std::size_t* totalBytes) {
  return call("cuMemGetInfo_v2", [=] {
    *totalBytes = device().settings.memoryBytes;
    *freeBytes = *totalBytes - device().memory.usedBytes;
    return OK;
  });
}

QD_API cuMemAlloc_v2(std::uint64_t* address, std::size_t bytes) {
  return call("cuMemAlloc_v2", [=] {
    if (bytes == 0) return INVALID_VALUE;
    if (device().memory.usedBytes + bytes > device().settings.memoryBytes) return OUT_OF_MEMORY;
    *address = device().memory.allocate(bytes);
    return *address ? OK : OUT_OF_MEMORY;
  });
}

QD_API cuMemFree_v2(std::uint64_t address) {
  return release("cuMemFree_v2", [=] {
    device().waitForAll();
    return device().memory.free(address) ? OK : INVALID_VALUE;
  });
}

QD_API cuMemHostAlloc(std::uint64_t* address, std::size_t bytes, unsigned) {
  return call("cuMemHostAlloc", [=] {
    *address = device().pinned.allocate(bytes);
    return *address ? OK : OUT_OF_MEMORY;
  });
}

QD_API cuMemFreeHost(std::uint64_t address) {
  return release("cuMemFreeHost", [=] {
    device().waitForAll();
    return device().pinned.free(address) ? OK : INVALID_VALUE;
  });
}

QD_API cuGetErrorName(int result, const char** name) {
  static char text[32];
  std::snprintf(text, sizeof text, "CUDA_ERROR_FAKE_%d", result);
  *name = text;
  return OK;
}
