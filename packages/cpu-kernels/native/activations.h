#pragma once
#include "vector-math.h"

// The activations of tensor/src/ops/activations/activation-function.ts, in the order of ACTIVATION_KINDS, and
// their derivatives.
namespace qdylora::QD_LEVEL {

enum class Activation { SILU, GELU, GELU_TANH, RELU };
template <Activation KIND>
struct Activated {
  static constexpr Activation kind = KIND;
};

// Φ(x) and φ(x) of the normal distribution.
struct Normal {
  F32x cumulative, density;
};

// Φ by its smaller tail, e^(−x²/2) · t · P(t) with t = 1 / (1 + 0.35·|x|): P is a minimax fit on 0 ≤ |x| ≤
// 13.4, relative error 3.2e-8.
// So the lower tail keeps its relative accuracy but for the rounding of x²/2 in the exponent.
QD_INLINE Normal normalAt(F32x x) {
  const F32x bell = decay(x * x * -0.5f);
  const F32x t = 1.f / fma(absolute(x), all(0.35f), all(1.f));
  const F32x square = t * t;  // even and odd powers apart wait for each other half as long
  F32x even = all(-2.9120771e-2f);
  F32x odd = all(1.4384694e-1f);
  even = fma(even, square, all(-2.5545114e-1f));
  odd = fma(odd, square, all(1.588668e-1f));
  even = fma(even, square, all(-2.2892969e-2f));
  odd = fma(odd, square, all(1.0541369e-1f));
  even = fma(even, square, all(1.1985747e-1f));
  odd = fma(odd, square, all(1.3985837e-1f));
  even = fma(even, square, all(1.3962162e-1f));
  const F32x tail = bell * (t * fma(odd, t, even));
  return {select(x < F32x{}, tail, 1.f - tail), bell * 0.39894228f};
}

// GELU's tanh form is x · sigmoid(u) with u = √(8/π)·(x + 0.044715·x³).
constexpr float GELU_LINEAR = 1.5957691216057308f;
constexpr float GELU_CUBIC = 0.07135481282720035f;

template <Activation KIND>
QD_INLINE F32x valueAt(F32x x) {
  if constexpr (KIND == Activation::SILU)
    return x * sigmoid(x);
  else if constexpr (KIND == Activation::GELU)
    return x * normalAt(x).cumulative;
  else if constexpr (KIND == Activation::GELU_TANH)
    return x * sigmoid(x * fma(x * x, all(GELU_CUBIC), all(GELU_LINEAR)));
  else
    return select(x < F32x{}, F32x{}, x);
}

struct Curve {
  F32x value, slope;
};

template <Activation KIND>
QD_INLINE Curve curveAt(F32x x) {
  if constexpr (KIND == Activation::SILU) {
    const F32x s = sigmoid(x);
    return {x * s, s * fma(x, 1.f - s, all(1.f))};
  } else if constexpr (KIND == Activation::GELU) {
    const Normal n = normalAt(x);
    return {x * n.cumulative, fma(x, n.density, n.cumulative)};
  } else if constexpr (KIND == Activation::GELU_TANH) {
    // Beyond ±11 the sigmoid is 0 or 1 and the slope with it; there x³ would overflow against a factor of 0.
    // NaN takes part as it is.
    const F32x near = select(absolute(x) > 11.f, select(x < F32x{}, all(-11.f), all(11.f)), x);
    const F32x square = near * near;
    const F32x s = sigmoid(near * fma(square, all(GELU_CUBIC), all(GELU_LINEAR)));
    return {x * s, s * fma(near * fma(square, all(3 * GELU_CUBIC), all(GELU_LINEAR)), 1.f - s, all(1.f))};
  } else {
    return {valueAt<KIND>(x), select(x <= F32x{}, F32x{}, all(1.f))};
  }
}

// Calls body(Activated<KIND>{}) for the kind that JavaScript names by its place in ACTIVATION_KINDS.
template <class Body>
QD_INLINE Status withActivation(Size kind, const Body& body) {
  switch (kind) {
    case 0:
      body(Activated<Activation::SILU>{});
      return ok();
    case 1:
      body(Activated<Activation::GELU>{});
      return ok();
    case 2:
      body(Activated<Activation::GELU_TANH>{});
      return ok();
    case 3:
      body(Activated<Activation::RELU>{});
      return ok();
    default:
      return unsupported("the activation must be silu, gelu, gelu_tanh or relu");
  }
}

}  // namespace qdylora::QD_LEVEL
