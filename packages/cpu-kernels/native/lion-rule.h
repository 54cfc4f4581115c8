#pragma once
#include "simd.h"

namespace qdylora::QD_LEVEL {

// Lion's rule for a vector of weights (Chen et al. 2023): decay, a step of the learning rate against the sign
// of a blend of m and g (NaN of NaN), then m's own blend. rates = [rate, keepP, scale].
struct LionRule {
  float rate;       // learning rate
  float blend;      // beta1
  float keepM;      // beta2
  float restBlend;  // 1 − beta1
  float restM;      // 1 − beta2
  float keepP;      // 1 − learningRate · weightDecay
  float scale;      // of gradients

  LionRule(const float* rates, double beta1, double beta2)
      : rate(rates[0]),
        blend(static_cast<float>(beta1)),
        keepM(static_cast<float>(beta2)),
        restBlend(static_cast<float>(1 - beta1)),
        restM(static_cast<float>(1 - beta2)),
        keepP(rates[1]),
        scale(rates[2]) {}

  QD_INLINE void update(F32x gradient, F32x& p, F32x& m) const {
    const F32x g = gradient * scale;
    const F32x direction = blend * m + restBlend * g;
    const F32x step = all(rate);
    p = p * keepP - select(direction > F32x{}, step, select(direction < F32x{}, -step, direction));
    m = keepM * m + restM * g;
  }
};

}  // namespace qdylora::QD_LEVEL
