#pragma once
#include <node_api.h>

#include "kernel.h"

namespace qdylora {

// A team of threads with the functions that use it; lives until the environment ends, its threads until `close`.
struct Instance { Threads* threads; };

// Adds one function per kernel to `target`; every function checks its arguments against the kernel's signature. False = a pending exception.
bool bindKernels(napi_env env, napi_value target, const KernelEntry* const* kernels, int count, Instance* instance);

// Throws a TypeError-like error with code NATIVE and a printf-formatted message.
void throwNative(napi_env env, const char* format, ...) __attribute__((format(printf, 2, 3)));

}  // namespace qdylora
