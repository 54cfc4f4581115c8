#include "large-pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "node-binding.h"

namespace qdylora {

napi_value preferLargePages(napi_env env, napi_callback_info info) {
  size_t count = 1;
  size_t length = 0;
  napi_value value;
  napi_typedarray_type type;
  void* data = nullptr;
  if (napi_get_cb_info(env, info, &count, &value, nullptr, nullptr) != napi_ok || count < 1 ||
      napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_uint8_array) {
    throwNative(env, "preferLargePages: the argument must be a Uint8Array");
    return nullptr;
  }
#if defined(MADV_HUGEPAGE)
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto start = reinterpret_cast<std::uintptr_t>(data);
  const auto first = (start + page - 1) & ~(page - 1);
  const auto end = (start + length) & ~(page - 1);
  if (end > first) madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
#endif
  return nullptr;
}

}  // namespace qdylora
