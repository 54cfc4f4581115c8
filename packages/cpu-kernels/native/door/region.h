#pragma once
#include <node_api.h>

namespace qdylora {

// reserve(bytes) → ArrayBuffer over fresh, zeroed, huge-page-friendly memory, or undefined where the system
// has none.
napi_value reserveRegion(napi_env env, napi_callback_info info);
// unreserve(buffer): detaches the buffer and gives its memory back at once.
napi_value unreserveRegion(napi_env env, napi_callback_info info);
// discard(buffer, offset, bytes): lets the system take back the RAM of the whole pages in there; their
// contents are then undefined.
napi_value discardPages(napi_env env, napi_callback_info info);

}  // namespace qdylora
