#pragma once
#include <node_api.h>

#include <initializer_list>

#include "../kernel.h"
#include "program.h"

namespace qdylora {

// A team of threads with the functions that use it; lives until the environment ends, its threads until
// `close`. Kernels that are called while there is a `recording` are added to it.
struct Instance {
  Threads* threads;
  Program* recording = nullptr;
  std::vector<std::unique_ptr<Program>> programs = {};  // by number; null = dropped
};

// Adds one function per kernel to `target`; every function checks its arguments against the kernel's
// signature. False = a pending exception.
bool bindKernels(napi_env env, napi_value target, const KernelEntry* const* kernels, int count,
                 Instance* instance);

// Adds what records kernels and runs them again: createProgram, startRecording, stopRecording, replay,
// dropProgram. False = a pending exception.
bool bindPrograms(napi_env env, napi_value target, Instance* instance);

// A function of the addon by its name.
struct NamedFunction {
  const char* name;
  napi_callback call;
};

// Adds functions to `target`; their calls receive `data`. False = a pending exception.
bool addFunctions(napi_env env, napi_value target, std::initializer_list<NamedFunction> functions,
                  void* data);

// Throws a TypeError-like error with code NATIVE and a printf-formatted message.
void throwNative(napi_env env, const char* format, ...) __attribute__((format(printf, 2, 3)));

}  // namespace qdylora
