// The part of NVIDIA's driver API that the backend calls, declared here so that no CUDA header is needed.
// The library is found at run time (driver.h).
#pragma once
#include <cstddef>
#include <cstdint>

namespace qdylora {

using Result = int;                   // CUresult
using Device = int;                   // CUdevice
using DeviceAddress = std::uint64_t;  // CUdeviceptr
using HostAddress = std::uint64_t;    // void*, as a number
using Context = struct OpaqueContext*;
using Module = struct OpaqueModule*;
using Function = struct OpaqueFunction*;
using Stream = struct OpaqueStream*;
using Event = struct OpaqueEvent*;
using Graph = struct OpaqueGraph*;
using GraphExec = struct OpaqueGraphExec*;

// Ends the list of options of a launch, and says where its packed arguments are and how long they are.
constexpr std::uintptr_t LAUNCH_PARAM_END = 0;
constexpr std::uintptr_t LAUNCH_PARAM_BUFFER_POINTER = 1;
constexpr std::uintptr_t LAUNCH_PARAM_BUFFER_SIZE = 2;

// Each call whose arguments are numbers, handles, names and bytes: its name, the symbol of its newest version
// that R525 has, and its parameters. Pointers to numbers and to handles are results.
#define QD_DRIVER_CALLS(X)                                                                              \
  X(cuInit, "cuInit", (unsigned flags))                                                                 \
  X(cuDriverGetVersion, "cuDriverGetVersion", (int* version))                                           \
  X(cuDeviceGetCount, "cuDeviceGetCount", (int* count))                                                 \
  X(cuDeviceGet, "cuDeviceGet", (Device * device, int ordinal))                                         \
  X(cuDeviceTotalMem, "cuDeviceTotalMem_v2", (std::size_t* bytes, Device device))                       \
  X(cuDeviceGetAttribute, "cuDeviceGetAttribute", (int* value, int attribute, Device device))           \
  X(cuDevicePrimaryCtxRetain, "cuDevicePrimaryCtxRetain", (Context * context, Device device))           \
  X(cuDevicePrimaryCtxRelease, "cuDevicePrimaryCtxRelease_v2", (Device device))                         \
  X(cuMemGetInfo, "cuMemGetInfo_v2", (std::size_t* freeBytes, std::size_t* totalBytes))                 \
  X(cuMemAlloc, "cuMemAlloc_v2", (DeviceAddress * address, std::size_t bytes))                          \
  X(cuMemFree, "cuMemFree_v2", (DeviceAddress address))                                                 \
  X(cuMemHostAlloc, "cuMemHostAlloc", (HostAddress * address, std::size_t bytes, unsigned flags))       \
  X(cuMemFreeHost, "cuMemFreeHost", (HostAddress address))                                              \
  X(cuMemcpyHtoDAsync, "cuMemcpyHtoDAsync_v2",                                                          \
    (DeviceAddress to, HostAddress from, std::size_t bytes, Stream stream))                             \
  X(cuMemcpyDtoHAsync, "cuMemcpyDtoHAsync_v2",                                                          \
    (HostAddress to, DeviceAddress from, std::size_t bytes, Stream stream))                             \
  X(cuMemcpyDtoDAsync, "cuMemcpyDtoDAsync_v2",                                                          \
    (DeviceAddress to, DeviceAddress from, std::size_t bytes, Stream stream))                           \
  X(cuMemsetD32Async, "cuMemsetD32Async",                                                               \
    (DeviceAddress to, unsigned value, std::size_t words, Stream stream))                               \
  X(cuModuleLoadData, "cuModuleLoadData", (Module * module, const void* image))                         \
  X(cuModuleUnload, "cuModuleUnload", (Module module))                                                  \
  X(cuModuleGetFunction, "cuModuleGetFunction", (Function * function, Module module, const char* name)) \
  X(cuStreamCreate, "cuStreamCreate", (Stream * stream, unsigned flags))                                \
  X(cuStreamDestroy, "cuStreamDestroy_v2", (Stream stream))                                             \
  X(cuStreamSynchronize, "cuStreamSynchronize", (Stream stream))                                        \
  X(cuStreamWaitEvent, "cuStreamWaitEvent", (Stream stream, Event event, unsigned flags))               \
  X(cuStreamBeginCapture, "cuStreamBeginCapture_v2", (Stream stream, int mode))                         \
  X(cuStreamEndCapture, "cuStreamEndCapture", (Stream stream, Graph * graph))                           \
  X(cuEventCreate, "cuEventCreate", (Event * event, unsigned flags))                                    \
  X(cuEventDestroy, "cuEventDestroy_v2", (Event event))                                                 \
  X(cuEventRecord, "cuEventRecord", (Event event, Stream stream))                                       \
  X(cuEventSynchronize, "cuEventSynchronize", (Event event))                                            \
  X(cuEventElapsedTime, "cuEventElapsedTime", (float* milliseconds, Event start, Event end))            \
  X(cuGraphInstantiate, "cuGraphInstantiateWithFlags",                                                  \
    (GraphExec * exec, Graph graph, unsigned long long flags))                                          \
  X(cuGraphLaunch, "cuGraphLaunch", (GraphExec exec, Stream stream))                                    \
  X(cuGraphDestroy, "cuGraphDestroy", (Graph graph))                                                    \
  X(cuGraphExecDestroy, "cuGraphExecDestroy", (GraphExec exec))

// The calls that need a binding of their own (addon.cpp), or none.
#define QD_OTHER_CALLS(X)                                                                                 \
  X(cuCtxSetCurrent, "cuCtxSetCurrent", (Context context))                                                \
  X(cuDeviceGetName, "cuDeviceGetName", (char* name, int length, Device device))                          \
  X(cuGetErrorName, "cuGetErrorName", (Result result, const char** name))                                 \
  X(cuLaunchKernel, "cuLaunchKernel",                                                                     \
    (Function function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY, \
     unsigned blockZ, unsigned sharedBytes, Stream stream, void** parameters, void** extra))

// Pointers to all of them, found in the library.
struct DriverCalls {
#define QD_MEMBER(name, symbol, parameters) Result(*name) parameters = nullptr;
  QD_DRIVER_CALLS(QD_MEMBER)
  QD_OTHER_CALLS(QD_MEMBER)
#undef QD_MEMBER
};

}  // namespace qdylora
