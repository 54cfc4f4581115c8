// Computes: with g = s · gradient: m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², p ← keep·p − stepSize·m /
//   (√v / rootCorrection + ε). rates = [stepSize, rootCorrection, keep, s].
// Owners: a thread owns four consecutive elements; blocks cover the arrays.
// Cost: 28 bytes per element, a root and two divisions: bound by the bandwidth of memory.
// Assumes: arrays of n elements and four rates (runOp checks). Any alignment.
// Dropped: nothing yet. Not measured on a device.
#include "elementwise.h"

extern "C" __global__ void adamwStep(const float* gradient, const float* rates, float* parameter, float* m,
                                     float* v, Size n, float beta1, float rest1, float beta2, float rest2,
                                     float epsilon) {
  const Run run = runOfThread(n);
  float gradients[4], weights[4], first[4], second[4];
  loadRun(gradient, run, gradients);
  loadRun(parameter, run, weights);
  loadRun(m, run, first);
  loadRun(v, run, second);
  const float stepSize = rates[0], rootCorrection = rates[1], keep = rates[2], scale = rates[3];
  for (int i = 0; i < 4; i++) {
    const float g = gradients[i] * scale;
    first[i] = beta1 * first[i] + rest1 * g;
    second[i] = beta2 * second[i] + rest2 * g * g;
    weights[i] = weights[i] * keep - stepSize * first[i] / (sqrtf(second[i]) / rootCorrection + epsilon);
  }
  storeRun(parameter, run, weights);
  storeRun(m, run, first);
  storeRun(v, run, second);
}
