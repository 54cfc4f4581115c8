#pragma once
#include "../../native/vector-math.h"

// Rows of logits on the way to a loss.
namespace qdylora::QD_LEVEL {

constexpr std::int32_t IGNORED_TARGET = -100;
// No target names a logit past these, and where hidden is 0 no array bounds their number.
constexpr Size MOST_VOCABULARY = 0x7fffffff;
constexpr const char* TOO_MANY_LOGITS = "the weight must have fewer than 2^31 rows";

inline Status checkTargets(const In<std::int32_t>& targets, Size tokens, Size vocabulary) {
  for (Size t = 0; t < tokens; t++) {
    const std::int32_t target = targets.data[t];
    if (target != IGNORED_TARGET && (target < 0 || static_cast<Size>(target) >= vocabulary))
      return badData("targets must be within the vocabulary, or -100", t, target);
  }
  return ok();
}

inline float largestOfRow(const float* z, Size n) {
  F32x most = all(-__builtin_inff());
  Size c = 0;
  for (; c + WIDTH <= n; c += WIDTH) most = larger(most, load(z + c));
  float largest = largestOf(most);
  for (; c < n; c++) largest = larger(largest, z[c]);
  return largest;
}

// e^x for x of at most some exponents of 2 above 0: relative error 6e-8 · (3 + |x|).
QD_INLINE F32x weightOf(F32x x) { return exponential2(x * LOG2_E); }

// Σ e^(z − largest); the terms replace z where `keep`. Blocks of 1,024 are summed in f32, then in double.
inline double sumOfExponentials(float* z, Size n, float largest, bool keep) {
  constexpr Size BLOCK = 1024;
  double sum = 0;
  for (Size from = 0; from < n; from += BLOCK) {
    const Size end = smaller(from + BLOCK, n);
    F32x block{};
    Size c = from;
    for (; c + WIDTH <= end; c += WIDTH) {
      const F32x e = weightOf(load(z + c) - largest);
      block += e;
      if (keep) store(z + c, e);
    }
    if (c < end) {
      const int lanes = static_cast<int>(end - c);
      F32x e = weightOf(loadFirst(z + c, lanes) - largest);
      for (int i = lanes; i < WIDTH; i++) e[i] = 0.f;
      block += e;
      if (keep) storeFirst(z + c, e, lanes);
    }
    sum += static_cast<double>(sumOf(block));
  }
  return sum;
}

// z becomes c · tanh(z / c).
inline void capRow(float* z, Size n, float cap) {
  for (Size c = 0; c < n; c += WIDTH) {
    const int lanes = static_cast<int>(smaller<Size>(WIDTH, n - c));
    storeFirst(z + c, cap * hyperbolicTangent(loadFirst(z + c, lanes) / cap), lanes);
  }
}

// The derivative of the cap where it gave `capped`; 1 without a cap.
inline float slopeOfCap(float capped, float cap) {
  return cap > 0.f ? 1.f - (capped / cap) * (capped / cap) : 1.f;
}

// Capped logits become e^(z − largest) · scale, times the cap's slope 1 − (z / c)²: their exponentials are
// computed again, because that needs the logits themselves.
inline void weighCapped(float* z, Size n, float cap, float largest, float scale) {
  for (Size c = 0; c < n; c += WIDTH) {
    const int lanes = static_cast<int>(smaller<Size>(WIDTH, n - c));
    const F32x capped = loadFirst(z + c, lanes);
    const F32x t = capped / cap;
    storeFirst(z + c, weightOf(capped - largest) * scale * fma(-t, t, all(1.f)), lanes);
  }
}

// What a token's loss is multiplied by.
inline float factorOf(Size t, double lossScale, const OptionalIn<float>& tokenWeights) {
  return static_cast<float>(lossScale *
                            (tokenWeights.data ? static_cast<double>(tokenWeights.data[t]) : 1.0));
}

}  // namespace qdylora::QD_LEVEL
