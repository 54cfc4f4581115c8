// Activation functions and their derivatives, by their place in ACTIVATION_KINDS of tensor.
#pragma once

enum ActivationKind { SILU, GELU, GELU_TANH, RELU };

// f(x) and f′(x)
struct Activation {
  float value;
  float slope;
};

__device__ inline float sigmoid(float x) { return 1.f / (1.f + expf(-x)); }

__device__ inline Activation silu(float x) {
  const float s = sigmoid(x);
  return {x * s, s * (1.f + x * sigmoid(-x))};
}

__device__ inline Activation gelu(float x) {
  const float density = expf(-.5f * x * x) * .3989422804f;  // 1 / √(2π)
  const float probability = normcdff(x);
  return {x * probability, probability + x * density};
}

// ½·(1 + tanh(u/2)) = sigmoid(u) with u = √(8/π)·(x + 0.044715·x³)
__device__ inline Activation geluTanh(float x) {
  constexpr float ROOT = 1.5957691216f;  // √(8/π)
  constexpr float SATURATED = 30.f;      // |u| > 1,900: the sigmoid is 0 or 1, and no power overflows
  const float bounded = fabsf(x) > SATURATED ? copysignf(SATURATED, x) : x;
  const float cube = .044715f * bounded * bounded * bounded;
  const float u = ROOT * (bounded + cube);
  const float s = sigmoid(u);
  return {x * s, s * (1.f + sigmoid(-u) * ROOT * (bounded + 3.f * cube))};
}

__device__ inline Activation relu(float x) { return {x < 0.f ? 0.f : x, x <= 0.f ? 0.f : 1.f}; }

__device__ inline Activation activation(int kind, float x) {
  switch (kind) {
    case SILU:
      return silu(x);
    case GELU:
      return gelu(x);
    case GELU_TANH:
      return geluTanh(x);
    case RELU:
      return relu(x);
    default:
      __trap();
  }
}
