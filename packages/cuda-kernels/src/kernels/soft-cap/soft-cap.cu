// Computes: y = cap · tanh(x / cap); backward dx = dy · (1 − (y / cap)²).
// Owners: a thread owns four consecutive elements; blocks cover the array.
// Cost: forward 8 bytes per element, backward 12: bound by the bandwidth of memory.
// Assumes: arrays of n elements and cap > 0 (runOp checks). y may be the array of x, dx that of dy: a thread
//   reads its elements first.
// Dropped: nothing yet. Not measured on a device.
#include "elementwise.h"

extern "C" __global__ void softCapF32(const float* x, float* y, Size n, float cap) {
  const Run run = runOfThread(n);
  float values[4];
  loadRun(x, run, values);
  for (int i = 0; i < 4; i++) values[i] = cap * tanhf(values[i] / cap);
  storeRun(y, run, values);
}

extern "C" __global__ void softCapBackwardF32(const float* y, const float* dy, float* dx, Size n, float cap) {
  const Run run = runOfThread(n);
  float values[4], gradients[4];
  loadRun(y, run, values);
  loadRun(dy, run, gradients);
  for (int i = 0; i < 4; i++) {
    const float tangent = values[i] / cap;
    gradients[i] *= 1.f - tangent * tangent;
  }
  storeRun(dx, run, gradients);
}
