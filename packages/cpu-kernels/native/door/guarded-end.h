#pragma once
#include <node_api.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace qdylora {

// Under AddressSanitizer, nothing behind an array's last element may be touched while a kernel runs. Arrays
// are padded to whole cache lines (`ALIGNMENT` in contract/src/memory/arena.ts), so the end of the allocation
// alone would hide an access up to 63 bytes too far. An array that shares its buffer with others is left
// alone. In an ordinary build it does nothing.
class GuardedEnd {
 public:
#ifdef __SANITIZE_ADDRESS__
  // `buffer`: the array's ArrayBuffer; `offset`, `bytes`: the place of the array in it.
  void guard(napi_env env, napi_value buffer, size_t offset, size_t bytes) {
    constexpr size_t LINE = 64;  // a whole one behind the end may be another array
    void* start;
    size_t whole;
    if (offset != 0 || napi_get_arraybuffer_info(env, buffer, &start, &whole) != napi_ok || whole <= bytes ||
        whole - bytes >= LINE)
      return;
    start_ = static_cast<char*>(start) + bytes;
    bytes_ = whole - bytes;
    ASAN_POISON_MEMORY_REGION(start_, bytes_);
  }
  ~GuardedEnd() {
    if (bytes_) ASAN_UNPOISON_MEMORY_REGION(start_, bytes_);
  }

 private:
  char* start_ = nullptr;
  size_t bytes_ = 0;
#else
  void guard(napi_env, napi_value, size_t, size_t) {}
#endif
};

}  // namespace qdylora
