#pragma once
#include "vectors.h"

// Stores that go past the caches.
namespace qdylora::QD_LEVEL {

// An array of so many bytes leaves the caches before it is read again: it is better written past them.
constexpr std::size_t LARGE_BYTES = std::size_t{1} << 20;
QD_INLINE bool isLine(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 64 == 0; }
// True where `count` elements at p are that large, and rows of `row` elements are whole cache lines.
template <class T>
QD_INLINE bool leavesCaches(const T* p, std::size_t count, std::size_t row) {
  return count * sizeof(T) >= LARGE_BYTES && row * sizeof(T) % 64 == 0 && isLine(p);
}
// Stores a vector. Where `past`, it goes past the caches, if the level can: `to` is then a cache line, and
// other threads see it after `streamFence`.
QD_INLINE void storeLine(void* to, I32x line, bool past) {
#if defined(__AVX512F__) && QD_WIDTH == 16
  if (past) return _mm512_stream_si512(static_cast<__m512i*>(to), (__m512i)line);
#endif
  (void)past;
  storeI32(to, line);
}
QD_INLINE void streamFence() {
#if defined(__AVX2__)
  _mm_sfence();
#endif
}

}  // namespace qdylora::QD_LEVEL
