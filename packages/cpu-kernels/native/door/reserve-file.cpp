#include "reserve-file.h"

#include <fcntl.h>

#include <cerrno>

#include "node-binding.h"

namespace qdylora {

napi_value reserveFile(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value values[2], result = nullptr;
  std::int32_t fd = -1;
  double bytes = -1;
  if (napi_get_cb_info(env, info, &count, values, nullptr, nullptr) != napi_ok || count < 2 ||
      napi_get_value_int32(env, values[0], &fd) != napi_ok ||
      napi_get_value_double(env, values[1], &bytes) != napi_ok || !(bytes >= 1 && bytes < 1e15)) {
    throwNative(env,
                "reserveFile: the arguments must be a file descriptor and a number of bytes of at least 1");
    return nullptr;
  }
#if defined(__linux__)
  int error = EINTR;
  while (error == EINTR) error = posix_fallocate(fd, 0, static_cast<off_t>(bytes));
#else
  const int error = ENOSYS;
#endif
  napi_create_int32(env, error, &result);
  return result;
}

}  // namespace qdylora
