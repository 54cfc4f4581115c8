// Computes: y = f(gate) · up; backward dUp = dy · f(gate), dGate = dy · up · f′(gate), with f SiLU, GELU,
//   its tanh form or ReLU (`kind`, in the order of ACTIVATION_KINDS).
// Owners: a thread owns four consecutive elements; blocks cover the array.
// Cost: forward 12 bytes per element, backward 20 (half in bfloat16), and an exponential and a division or
//   two: bound by the bandwidth of memory.
// Assumes: arrays of n elements of one dtype (runOp checks). dGate may be the array of dy, dUp that of up: a
//   thread reads its elements first. Any alignment.
// Dropped: a kernel for each kind: the branch is uniform. Not measured on a device.
#include "activation.h"
#include "elementwise.h"

namespace {

template <class T>
__device__ void activationGate(const T* gate, const T* up, T* y, Size n, int kind) {
  const Run run = runOfThread(n);
  float gates[4], ups[4];
  loadRun(gate, run, gates);
  loadRun(up, run, ups);
  for (int i = 0; i < 4; i++) ups[i] *= activation(kind, gates[i]).value;
  storeRun(y, run, ups);
}

template <class T>
__device__ void activationGateBackward(const T* gate, const T* up, const T* dy, T* dGate, T* dUp, Size n,
                                       int kind) {
  const Run run = runOfThread(n);
  float gates[4], ups[4], gradients[4];
  loadRun(gate, run, gates);
  loadRun(up, run, ups);
  loadRun(dy, run, gradients);
  for (int i = 0; i < 4; i++) {
    const Activation f = activation(kind, gates[i]);
    gates[i] = gradients[i] * ups[i] * f.slope;
    ups[i] = gradients[i] * f.value;
  }
  storeRun(dGate, run, gates);
  storeRun(dUp, run, ups);
}

}  // namespace

extern "C" __global__ void activationGateF32(const float* gate, const float* up, float* y, Size n, int kind) {
  activationGate(gate, up, y, n, kind);
}
extern "C" __global__ void activationGateBf16(const BFloat16* gate, const BFloat16* up, BFloat16* y, Size n,
                                              int kind) {
  activationGate(gate, up, y, n, kind);
}

extern "C" __global__ void activationGateBackwardF32(const float* gate, const float* up, const float* dy,
                                                     float* dGate, float* dUp, Size n, int kind) {
  activationGateBackward(gate, up, dy, dGate, dUp, n, kind);
}
extern "C" __global__ void activationGateBackwardBf16(const BFloat16* gate, const BFloat16* up,
                                                      const BFloat16* dy, BFloat16* dGate, BFloat16* dUp,
                                                      Size n, int kind) {
  activationGateBackward(gate, up, dy, dGate, dUp, n, kind);
}
