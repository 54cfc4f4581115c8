#include <node_api.h>

#include <cstring>
#include <memory>
#include <vector>

#include "large-pages.h"
#include "levels.h"
#include "node-binding.h"
#include "region.h"
#include "reserve-file.h"

namespace qdylora {
namespace {

// Everything that one environment (a main thread, a worker thread) has opened; ends with it.
struct Environment {
  std::vector<std::unique_ptr<Instance>> instances;
  ~Environment() {
    for (auto& instance : instances) delete instance->threads;
  }
};

napi_value text(napi_env env, const char* value) {
  napi_value result = nullptr;
  napi_create_string_utf8(env, value, NAPI_AUTO_LENGTH, &result);
  return result;
}

// levels() → [{ name, missing }], best last; missing = '' where this machine can run it.
napi_value levels(napi_env env, napi_callback_info) {
  napi_value list;
  if (napi_create_array(env, &list) != napi_ok) return nullptr;
  for (int i = 0; i < LEVEL_COUNT; i++) {
    napi_value item;
    char missing[256];
    missingFeatures(LEVELS[i].name, missing);
    if (napi_create_object(env, &item) != napi_ok) return nullptr;
    napi_set_named_property(env, item, "name", text(env, LEVELS[i].name));
    napi_set_named_property(env, item, "missing", text(env, missing));
    napi_set_element(env, list, static_cast<std::uint32_t>(i), item);
  }
  return list;
}

napi_value closeInstance(napi_env env, napi_callback_info info) {
  void* data = nullptr;
  napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data);
  auto* instance = static_cast<Instance*>(data);
  delete instance->threads;
  instance->threads = nullptr;
  instance->recording = nullptr;
  instance->programs.clear();
  return nullptr;
}

// open(level, threads, isBatchInvariant) → { threads, functions, close }, with the functions of bindPrograms
napi_value open(napi_env env, napi_callback_info info) {
  size_t count = 3;
  napi_value values[3];
  napi_value result;
  napi_value functions;
  napi_value threads;
  void* data = nullptr;
  char name[32] = "";
  char missing[256];
  std::int32_t threadCount = 0;
  bool isBatchInvariant = false;
  if (napi_get_cb_info(env, info, &count, values, nullptr, nullptr) != napi_ok || count < 3 ||
      napi_get_value_bool(env, values[2], &isBatchInvariant) != napi_ok ||
      napi_get_value_string_utf8(env, values[0], name, sizeof name, nullptr) != napi_ok ||
      napi_get_value_int32(env, values[1], &threadCount) != napi_ok || threadCount < 1 ||
      threadCount > 1024) {
    throwNative(env,
                "open: the arguments must be a level's name, a number of threads in 1..1024, and a boolean");
    return nullptr;
  }
  const Level* level = nullptr;
  for (int i = 0; i < LEVEL_COUNT; i++)
    if (!std::strcmp(LEVELS[i].name, name)) level = &LEVELS[i];
  if (!level) {
    throwNative(env, "open: the level %s is not compiled in", name);
    return nullptr;
  }
  missingFeatures(name, missing);
  if (*missing) {
    throwNative(env, "open: the level %s needs %s, which this machine lacks", name, missing);
    return nullptr;
  }
  if (napi_get_instance_data(env, &data) != napi_ok || !data) {
    throwNative(env, "open: the addon is not initialised");
    return nullptr;
  }
  auto& instances = static_cast<Environment*>(data)->instances;
  instances.push_back(std::make_unique<Instance>(Instance{new Threads(threadCount, isBatchInvariant)}));
  Instance* instance = instances.back().get();
  if (napi_create_object(env, &result) != napi_ok || napi_create_object(env, &functions) != napi_ok ||
      !bindKernels(env, functions, level->kernels, level->kernelCount, instance) ||
      !bindPrograms(env, result, instance) ||
      !addFunctions(env, result, {{"close", closeInstance}}, instance) ||
      napi_create_int32(env, instance->threads->count(), &threads) != napi_ok)
    return nullptr;
  napi_set_named_property(env, result, "threads", threads);
  napi_set_named_property(env, result, "functions", functions);
  return result;
}

napi_value initialise(napi_env env, napi_value exports) {
  const auto destroy = [](napi_env, void* data, void*) { delete static_cast<Environment*>(data); };
  if (napi_set_instance_data(env, new Environment, destroy, nullptr) != napi_ok) return nullptr;
  const bool isComplete = addFunctions(env, exports,
                                       {{"levels", levels},
                                        {"open", open},
                                        {"reserve", reserveRegion},
                                        {"unreserve", unreserveRegion},
                                        {"discard", discardPages},
                                        {"reserveFile", reserveFile},
                                        {"preferLargePages", preferLargePages}},
                                       nullptr);
  return isComplete ? exports : nullptr;
}

}  // namespace
}  // namespace qdylora

NAPI_MODULE_INIT() { return qdylora::initialise(env, exports); }
