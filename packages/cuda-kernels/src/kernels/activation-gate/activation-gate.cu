// Computes: y = f(gate) · up; backward dUp = dy · f(gate), dGate = dy · up · f′(gate), with f SiLU, GELU,
//   its tanh form or ReLU (`kind`, in the order of ACTIVATION_KINDS).
// Owners: a thread owns four consecutive elements; blocks cover the array.
// Cost: forward 12 bytes per element, backward 20 (half of two bytes), and an exponential and a division or
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

#define QD_GATE(NAME, T)                                                                \
  extern "C" __global__ void NAME(const T* gate, const T* up, T* y, Size n, int kind) { \
    activationGate(gate, up, y, n, kind);                                               \
  }
QD_FOR_ELEMENTS(QD_GATE, activationGate)

#define QD_GATE_BACKWARD(NAME, T)                                                                    \
  extern "C" __global__ void NAME(const T* gate, const T* up, const T* dy, T* dGate, T* dUp, Size n, \
                                  int kind) {                                                        \
    activationGateBackward(gate, up, dy, dGate, dUp, n, kind);                                       \
  }
QD_FOR_ELEMENTS(QD_GATE_BACKWARD, activationGateBackward)
