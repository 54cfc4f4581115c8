// One weight's step of Lion (Chen et al. 2023, algorithm 2), decay first.
#pragma once

struct LionRule {
  float rate, keep, scale;
  float beta1, rest1;  // rest: 1 − beta
  float beta2, rest2;

  __device__ void update(float& weight, float& moment, float gradient) const {
    const float g = gradient * scale;
    const float direction = beta1 * moment + rest1 * g;
    const float sign = direction > 0.f ? 1.f : direction < 0.f ? -1.f : direction;  // NaN stays
    weight = weight * keep - rate * sign;
    moment = beta2 * moment + rest2 * g;
  }
};
