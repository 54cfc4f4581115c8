#pragma once
#include "simd.h"

// Prefetches of the cache lines that a walk along arrays is going to need, a KiB before: processors follow
// few such walks at once by themselves, and fetch a line that is only written as late as any (gates in bf16,
// 2 arrays in and 1 out, from memory: 38 → 25 ms a step, 3 in and 2 out: 52 → 34; Granite Rapids, 2026).
namespace qdylora::QD_LEVEL {

constexpr std::size_t AHEAD_BYTES = 1024;

// Each line once, by the vector that begins in its first bytes. LOCALITY: 3 brings it into the first cache, 2
// into the second.
template <int WRITES, int LOCALITY = 3, class T>
QD_INLINE void prefetchLine(const T* at, std::size_t bytes = AHEAD_BYTES) {
  if (reinterpret_cast<std::uintptr_t>(at) % 64 < WIDTH * sizeof(T))
    __builtin_prefetch(reinterpret_cast<const char*>(at) + bytes, WRITES, LOCALITY);
}
template <class... T>
QD_INLINE void prefetchReads(const T*... at) {
  (prefetchLine<0>(at), ...);
}
// For a second walk over a row, which reads nothing from memory itself: prefetches the next row, `hidden`
// elements on, into the second cache.
template <class... T>
QD_INLINE void prefetchNextRow(std::size_t hidden, const T*... at) {
  (prefetchLine<0, 2>(at, hidden * sizeof(T)), ...);
}
template <class... T>
QD_INLINE void prefetchWrites(const T*... at) {
  (prefetchLine<1>(at), ...);
}

}  // namespace qdylora::QD_LEVEL
