#pragma once
#include "ahead.h"

// Results that a walk along arrays writes once, in order.
namespace qdylora::QD_LEVEL {

#if defined(__AVX512F__) && QD_WIDTH == 16
constexpr bool GOES_PAST = true;
QD_INLINE void storePast(float* p, F32x v) { _mm512_stream_ps(p, (__m512)v); }
QD_INLINE void storePast(BFloat16* p, F32x v) {
  _mm256_stream_si256(reinterpret_cast<__m256i*>(p), halvesOf(v));
}
#elif defined(__AVX2__) && QD_WIDTH == 8
constexpr bool GOES_PAST = true;
QD_INLINE void storePast(float* p, F32x v) { _mm256_stream_ps(p, (__m256)v); }
QD_INLINE void storePast(BFloat16* p, F32x v) {
  _mm_stream_si128(reinterpret_cast<__m128i*>(p),
                   (__m128i) __builtin_convertvector((U32x)roundToBf16(v) >> 16, U16x));
}
#else
constexpr bool GOES_PAST = false;
template <class T>
QD_INLINE void storePast(T*, F32x) {}
#endif

// An array of `count` elements whose parts each begin at a multiple of `row`. Where it is large it goes past
// the caches: its lines need not be read first, and what else is in the caches stays. A kernel calls
// `streamFence` (elementwise does) before its threads meet. (Norms of 2,048 and 4,096 columns −12 to −40 %
// time, gates in float32 −20 %, a training step of SmolLM2-135M: its norms −20 to −30 %, and what reads them
// no more; Zen 4, 2026.)
template <class T>
class Outgoing {
 public:
  // `isKept`: it stays in the caches, because its memory was just read or will be read again soon.
  QD_INLINE Outgoing(T* to, std::size_t count, std::size_t row = 64, bool isKept = false)
      : to_(to), past_(GOES_PAST && !isKept && leavesCaches(to, count, row)) {}
  // The part from element i on.
  QD_INLINE Outgoing from(std::size_t i) const {
    Outgoing part = *this;
    part.to_ += i;
    return part;
  }
  // Prefetches the line of element i, unless it is written past the caches.
  QD_INLINE void prefetch(std::size_t i) const {
    if (!past_) prefetchWrites(to_ + i);
  }
  // The first n lanes of v, from element i on, a multiple of WIDTH from the begin of a part.
  QD_INLINE void put(std::size_t i, F32x v, int n) const {
    if (past_ && n == WIDTH)
      storePast(to_ + i, v);
    else
      storeFirst(to_ + i, v, n);
  }

 private:
  T* to_;
  bool past_;
};

}  // namespace qdylora::QD_LEVEL
