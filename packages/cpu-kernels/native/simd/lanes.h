#pragma once
#include "arithmetic.h"

// Moves between lanes: transposition, and sums and extrema over all lanes.
namespace qdylora::QD_LEVEL {

// Lane i = pick i of the 2·WIDTH lanes of (a, b). Constant picks.
#if defined(__clang__) || __GNUC__ >= 12
#define QD_PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define QD_PICK(a, b, ...) __builtin_shuffle(a, b, I32x{__VA_ARGS__})
#endif
template <class Lanes>
struct SwapLanes;
template <int... LANE>
struct SwapLanes<Positions<LANE...>> {
  // Exchanges the off-diagonal squares of size DISTANCE between two rows that are DISTANCE apart.
  template <int DISTANCE>
  static QD_INLINE void exchange(I32x& a, I32x& b) {
    const I32x low = QD_PICK(a, b, (LANE & DISTANCE ? WIDTH + (LANE ^ DISTANCE) : LANE)...);
    b = QD_PICK(a, b, (LANE & DISTANCE ? WIDTH + LANE : (LANE ^ DISTANCE))...);
    a = low;
  }
  template <int DISTANCE>
  static QD_INLINE F32x rotated(F32x a) {
    return QD_PICK(a, a, (LANE ^ DISTANCE)...);
  }
  template <int DISTANCE>
  static QD_INLINE I32x rotated(I32x a) {
    return QD_PICK(a, a, (LANE ^ DISTANCE)...);
  }
  // Every other one of the 2·WIDTH lanes.
  template <int FIRST>
  static QD_INLINE F32x everyOther(F32x a, F32x b) {
    return QD_PICK(a, b, (2 * LANE + FIRST)...);
  }
};
using Lanes = SwapLanes<typename CountTo<WIDTH>::type>;

// Transposes a square of WIDTH × WIDTH words in registers.
template <int DISTANCE = WIDTH / 2>
QD_INLINE void transpose(I32x (&rows)[WIDTH]) {
#pragma GCC unroll 16
  for (int i = 0; i < WIDTH; i++) {
    if (!(i & DISTANCE)) Lanes::exchange<DISTANCE>(rows[i], rows[i | DISTANCE]);
  }
  if constexpr (DISTANCE > 1) transpose<DISTANCE / 2>(rows);
}

// Sums and extrema over the lanes, always in the same order (a tree).
template <int DISTANCE = WIDTH / 2>
QD_INLINE float sumOf(F32x v) {
  v = v + Lanes::rotated<DISTANCE>(v);
  if constexpr (DISTANCE > 1)
    return sumOf<DISTANCE / 2>(v);
  else
    return v[0];
}
template <int DISTANCE = WIDTH / 2>
QD_INLINE float largestOf(F32x v) {
  v = larger(v, Lanes::rotated<DISTANCE>(v));
  if constexpr (DISTANCE > 1)
    return largestOf<DISTANCE / 2>(v);
  else
    return v[0];
}

template <int DISTANCE = WIDTH / 2>
QD_INLINE std::int32_t largestOf(I32x v) {
  const I32x other = Lanes::rotated<DISTANCE>(v);
  v = v > other ? v : other;
  if constexpr (DISTANCE > 1)
    return largestOf<DISTANCE / 2>(v);
  else
    return v[0];
}

}  // namespace qdylora::QD_LEVEL
