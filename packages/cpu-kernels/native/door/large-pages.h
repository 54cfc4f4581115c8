#pragma once
#include <node_api.h>

namespace qdylora {

// preferLargePages(bytes): asks the system to back the whole pages of a Uint8Array that nobody has touched
// yet by large ones, as those of regions are. It may not, and says nothing.
napi_value preferLargePages(napi_env env, napi_callback_info info);

}  // namespace qdylora
