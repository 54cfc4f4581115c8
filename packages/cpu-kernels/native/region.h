#pragma once
#include <node_api.h>

namespace qdylora {

// reserve(bytes) → ArrayBuffer over fresh, zeroed, huge-page-friendly memory, or undefined where the system has none.
napi_value reserveRegion(napi_env env, napi_callback_info info);
// unreserve(buffer): detaches the buffer and gives its memory back at once.
napi_value unreserveRegion(napi_env env, napi_callback_info info);

}  // namespace qdylora
