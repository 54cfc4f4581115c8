#pragma once
#include "simd.h"

// Elementary functions on vectors, by polynomials: the same bits on every level that has FMA.
namespace qdylora::QD_LEVEL {

constexpr float LOG2_E = 1.44269504088896341f;

// e^x = 2^n · power, n = round(x / ln 2), for x within the range of `exponential`.
struct ReducedExponential {
  F32x n, power;
};
QD_INLINE ReducedExponential reduced(F32x x) {
  constexpr float LN2_HIGH = 0.693145751953125f;
  constexpr float LN2_LOW = 1.42860677e-6f;
  constexpr float ROUND = 12582912.f;  // 1.5 · 2^23
  const F32x shifted = fma(x, all(LOG2_E), all(ROUND));
  const F32x n = shifted - ROUND;
  const F32x r = fma(n, all(-LN2_LOW), fma(n, all(-LN2_HIGH), x));
  // Minimax coefficients as in Cephes expf, in three pairs: what waits for another is half as long as one
  // after the other.
  const F32x square = r * r;
  const F32x low = fma(all(1.6666666e-1f), r, all(0.5f));
  const F32x middle = fma(all(8.3334519e-3f), r, all(4.1665796e-2f));
  const F32x high = fma(all(1.9875691e-4f), r, all(1.3981999e-3f));
  return {n, fma(fma(fma(high, square, middle), square, low), square, r) + 1.f};
}

// e^x within 1 ulp over the normal range (test/vector-math.test.ts measures it): x = n·ln 2 + r, |r| ≤ ln 2 /
// 2, and a polynomial for e^r.
// x below −87.34 gives 0 (no subnormal results), above 88.72 gives ∞; NaN stays NaN.
QD_INLINE F32x exponential(F32x x) {
  constexpr float LEAST = -87.33654f;
  constexpr float MOST = 88.72283f;
  const ReducedExponential e = reduced(smaller(larger(x, all(LEAST)), all(MOST)));
  // 2^n in two steps, so that n = 128 does not overflow before the product does.
  const I32x whole = toI32(e.n);
  const I32x half = whole >> 1;
  F32x y = e.power * asF32((half + 127) << 23) * asF32((whole - half + 127) << 23);
  y = x < LEAST ? F32x{} : y;
  y = x > MOST ? all(__builtin_inff()) : y;
  return x == x ? y : x;
}

// 2^x within 3 ulp (2 with FMA) for −126 ≤ x < 128, exactly 1 at 0: 2^⌊x⌋ and a polynomial on [0, 1), a
// minimax fit with constant term 1 (relative error 8.3e-8).
// Below −126 some number between 0 and 2^−126; NaN stays NaN. What a softmax needs, at about half the cost of
// `exponential`.
QD_INLINE F32x exponential2(F32x x) {
#if defined(__AVX512DQ__) && QD_WIDTH == 16
  const F32x f = (F32x)_mm512_reduce_ps((__m512)x, 0x09);  // x − ⌊x⌋; 0 for −∞
#else
  constexpr float ROUND = 12582912.f;  // 1.5 · 2^23
  const F32x shifted = larger(all(-126.f), x) - 0.5f + ROUND;
  const F32x f = larger(all(-126.f), x) - (shifted - ROUND);
#endif
  F32x p = all(1.8671305e-3f);
  p = fma(p, f, all(9.0170294e-3f));
  p = fma(p, f, all(5.5799914e-2f));
  p = fma(p, f, all(2.4016445e-1f));
  p = fma(p, f, all(6.9315131e-1f));
  p = fma(p, f, all(1.f));
#if defined(__AVX512DQ__) && QD_WIDTH == 16
  return (F32x)_mm512_scalef_ps((__m512)p, (__m512)x);
#else
  const F32x y = x < -126.f ? F32x{} : asF32(asI32(p) + (asI32(shifted) << 23));
  return x == x ? y : x;
#endif
}

// e^x for x ≤ 0, as `exponential` without the upper end: nothing overflows, so 2^n is one factor, and a third
// of the operations is saved. NaN stays NaN.
QD_INLINE F32x decay(F32x x) {
  constexpr float LEAST = -87.33654f;
  const F32x clamped = larger(all(LEAST), x);
  const ReducedExponential e = reduced(clamped);
  const F32x y = e.power * asF32((toI32(e.n) + 127) << 23);
  return x < LEAST ? F32x{} : y;
}

// 1 / (1 + e^−x) = e^x / (1 + e^x), by the one whose exponential does not grow; exact limits 0 (from −87.3
// down) and 1.
QD_INLINE F32x sigmoid(F32x x) {
  const F32x e = decay(-absolute(x));
  return select(x < F32x{}, e, all(1.f)) / (1.f + e);
}

// tanh x within 3 ulp: an odd polynomial near 0 (minimax coefficients as in Cephes tanhf), 1 − 2 / (e^2|x| +
// 1) elsewhere. NaN stays NaN.
QD_INLINE F32x hyperbolicTangent(F32x x) {
  const F32x size = absolute(x);
  const F32x far = 1.f - 2.f / (exponential(size + size) + 1.f);
  const F32x square = x * x;
  F32x p = all(-5.70498872745e-3f);
  p = fma(p, square, all(2.06390887954e-2f));
  p = fma(p, square, all(-5.37397155531e-2f));
  p = fma(p, square, all(1.33314422036e-1f));
  p = fma(p, square, all(-3.33332819422e-1f));
  const F32x near = x * fma(p, square, all(1.f));
  const F32x signedFar = asF32(asI32(far) | (asI32(x) & INT32_MIN));
  return select(size < 0.625f, near, signedFar);
}

// Natural logarithm of one number; within 2 ulp, x > 0 and normal.
QD_INLINE float logarithm(float x) { return __builtin_logf(x); }

}  // namespace qdylora::QD_LEVEL
