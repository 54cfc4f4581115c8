// Calls on modules, kernels and graphs.
#include <cstring>

#include "api.h"

using namespace fake;

namespace {

// The list of options of a launch, as cuLaunchKernel takes it in `extra`.
struct PackedArguments {
  const std::uint8_t* data = nullptr;
  std::size_t bytes = 0;
};

PackedArguments readExtra(void** extra) {
  PackedArguments packed;
  for (std::size_t k = 0; extra[k]; k += 2) {
    if (extra[k] == reinterpret_cast<void*>(1)) packed.data = static_cast<const std::uint8_t*>(extra[k + 1]);
    if (extra[k] == reinterpret_cast<void*>(2)) packed.bytes = *static_cast<std::size_t*>(extra[k + 1]);
  }
  return packed;
}

constexpr std::uint64_t MOST_THREADS = 1024;

}  // namespace

QD_API cuModuleLoadData(void** module, const void* image) {
  return call("cuModuleLoadData", [=] {
    std::shared_ptr<LoadedModule> loaded;
    if (const int result = loadImage(static_cast<const char*>(image), device().settings, loaded))
      return result;
    *module = device().modules.add(loaded);
    return static_cast<int>(OK);
  });
}

QD_API cuModuleUnload(void* module) {
  return release("cuModuleUnload", [=] {
    device().waitForAll();
    return device().modules.remove(module) ? OK : INVALID_HANDLE;
  });
}

QD_API cuModuleGetFunction(void** function, void* module, const char* name) {
  return call("cuModuleGetFunction", [=] {
    const std::shared_ptr<LoadedModule> found = device().modules.find(module);
    if (!found) return INVALID_HANDLE;
    for (const emulator::Kernel& kernel : found->module.kernels) {
      if (kernel.name != name) continue;
      device().functions[&kernel] = std::make_shared<LoadedFunction>(LoadedFunction{found, &kernel});
      *function = const_cast<emulator::Kernel*>(&kernel);
      return OK;
    }
    return NOT_FOUND;
  });
}

// Arguments are copied at the call; the kernel runs when the stream gets there.
QD_API cuLaunchKernel(void* function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX,
                      unsigned blockY, unsigned blockZ, unsigned sharedBytes, void* stream, void**,
                      void** extra) {
  return call("cuLaunchKernel", [=] {
    const auto found = device().functions.find(function);
    const std::shared_ptr<Stream> on = device().streamHandles.find(stream);
    if (found == device().functions.end() || !on) return INVALID_HANDLE;
    const std::shared_ptr<LoadedFunction> loaded = found->second;
    const std::uint64_t threads = std::uint64_t{blockX} * blockY * blockZ;
    if (!gridX || !gridY || !gridZ || gridX > 0x7fffffff || gridY > 65535 || gridZ > 65535)
      return INVALID_VALUE;
    if (threads == 0 || threads > MOST_THREADS || sharedBytes > 0 || !extra) return INVALID_VALUE;
    const PackedArguments packed = readExtra(extra);
    if (packed.bytes != loaded->kernel->parameterBytes) return INVALID_VALUE;
    const std::vector<std::uint8_t> parameters(packed.data, packed.data + packed.bytes);
    on->add({[=] {
               return device().launch(*loaded, {gridX, gridY, gridZ}, {blockX, blockY, blockZ}, parameters);
             },
             nullptr, 0});
    return OK;
  });
}

QD_API cuStreamBeginCapture_v2(void* stream, int) {
  return call("cuStreamBeginCapture_v2", [=] {
    const std::shared_ptr<Stream> found = device().streamHandles.find(stream);
    if (!found) return INVALID_HANDLE;
    if (found->capture) return CAPTURE_UNSUPPORTED;
    found->capture = std::make_unique<Graph>();
    return OK;
  });
}

QD_API cuStreamEndCapture(void* stream, void** graph) {
  return call("cuStreamEndCapture", [=] {
    const std::shared_ptr<Stream> found = device().streamHandles.find(stream);
    if (!found) return INVALID_HANDLE;
    if (!found->capture) return CAPTURE_INVALIDATED;
    *graph = device().graphs.add(std::make_shared<Graph>(std::move(*found->capture)));
    found->capture = nullptr;
    return OK;
  });
}

QD_API cuGraphInstantiateWithFlags(void** executable, void* graph, unsigned long long) {
  return call("cuGraphInstantiateWithFlags", [=] {
    const std::shared_ptr<Graph> found = device().graphs.find(graph);
    if (!found) return INVALID_HANDLE;
    *executable = device().executables.add(std::make_shared<Graph>(*found));
    return OK;
  });
}

QD_API cuGraphLaunch(void* executable, void* stream) {
  return call("cuGraphLaunch", [=] {
    const std::shared_ptr<Graph> found = device().executables.find(executable);
    const std::shared_ptr<Stream> on = device().streamHandles.find(stream);
    if (!found || !on) return INVALID_HANDLE;
    for (const Step& step : found->steps) on->add(step);
    return OK;
  });
}

QD_API cuGraphDestroy(void* graph) {
  return release("cuGraphDestroy", [=] { return device().graphs.remove(graph) ? OK : INVALID_HANDLE; });
}

QD_API cuGraphExecDestroy(void* executable) {
  return release("cuGraphExecDestroy",
                 [=] { return device().executables.remove(executable) ? OK : INVALID_HANDLE; });
}
