#pragma once
#include <node_api.h>

namespace qdylora {

// reserveFile(fd, bytes) → 0, or the system's error number: takes the file's blocks from the disk, so that
// later writes within them cannot fail for want of room.
// ENOSYS where the system has no such call.
napi_value reserveFile(napi_env env, napi_callback_info info);

}  // namespace qdylora
