// Computes: y = f(x); backward dx = dy · f′(x), with f SiLU, GELU, its tanh form or ReLU (`kind`, in the
//   order of ACTIVATION_KINDS).
// Owners: a thread owns four consecutive elements; blocks cover the array.
// Cost: forward 8 bytes per element, backward 12, and an exponential and a division or two: bound by the
//   bandwidth of memory.
// Assumes: arrays of n elements (runOp checks). dx may be the array of dy: a thread reads its elements first.
// Dropped: nothing yet. Not measured on a device.
#include "activation.h"
#include "elementwise.h"

extern "C" __global__ void activationF32(const float* x, float* y, Size n, int kind) {
  const Run run = runOfThread(n);
  float values[4];
  loadRun(x, run, values);
  for (int i = 0; i < 4; i++) values[i] = activation(kind, values[i]).value;
  storeRun(y, run, values);
}

extern "C" __global__ void activationBackwardF32(const float* x, const float* dy, float* dx, Size n,
                                                 int kind) {
  const Run run = runOfThread(n);
  float values[4], gradients[4];
  loadRun(x, run, values);
  loadRun(dy, run, gradients);
  for (int i = 0; i < 4; i++) gradients[i] *= activation(kind, values[i]).slope;
  storeRun(dx, run, gradients);
}
