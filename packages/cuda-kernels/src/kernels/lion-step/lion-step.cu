// Computes: with g = s · gradient: p ← keep·p − lr · sign(β₁m + (1−β₁)g), m ← β₂m + (1−β₂)g.
//   rates = [lr, keep, s].
// Owners: a thread owns four consecutive elements; blocks cover the arrays.
// Cost: 20 bytes per element: bound by the bandwidth of memory.
// Assumes: arrays of n elements and three rates (runOp checks). Any alignment.
// Dropped: nothing yet. Not measured on a device.
#include "elementwise.h"
#include "lion.h"

extern "C" __global__ void lionStep(const float* gradient, const float* rates, float* parameter, float* m,
                                    Size n, float beta1, float rest1, float beta2, float rest2) {
  const Run run = runOfThread(n);
  float gradients[4], weights[4], moments[4];
  loadRun(gradient, run, gradients);
  loadRun(parameter, run, weights);
  loadRun(m, run, moments);
  const LionRule rule = {rates[0], rates[1], rates[2], beta1, rest1, beta2, rest2};
  for (int i = 0; i < 4; i++) rule.update(weights[i], moments[i], gradients[i]);
  storeRun(parameter, run, weights);
  storeRun(m, run, moments);
}
