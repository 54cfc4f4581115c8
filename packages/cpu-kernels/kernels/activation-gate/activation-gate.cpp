// y = f(gate) · up, and its gradient dUp = dy · f(gate), dGate = dy · up · f′(gate); f is SiLU, GELU (exact or by tanh) or ReLU. One pass each.
// Each thread owns one contiguous share of the elements, each lane one element.
// 12 bytes per element forward, 20 backward; 20 to 35 operations for an exponential and a division, so one core is near its memory bandwidth, several are bound by it.
// Assumes nothing about alignment; dGate may be dy. Lengths are checked below. A gate below −87.3 gives exactly 0.
// Not done: saving f(gate) for the backward pass: it would be 4 more bytes per element to write, keep and read.
#include "../../native/activations.h"
#include "../../native/elementwise.h"

namespace qdylora::QD_LEVEL {
namespace {

Status activationGate(Threads& threads, In<float> gate, In<float> up, Out<float> y, Size count, Size kind) {
  QD_NEED(gate, count);
  QD_NEED(up, count);
  QD_NEED(y, count);
  return withActivation(kind, [&](auto f) {
    elementwise(threads, count, [&](Size i, int n) { storeFirst(y.data + i, valueAt<decltype(f)::kind>(loadFirst(gate.data + i, n)) * loadFirst(up.data + i, n), n); });
  });
}

Status activationGateBackward(Threads& threads, In<float> gate, In<float> up, In<float> dy, Out<float> dGate, Out<float> dUp, Size count, Size kind) {
  QD_NEED(gate, count);
  QD_NEED(up, count);
  QD_NEED(dy, count);
  QD_NEED(dGate, count);
  QD_NEED(dUp, count);
  return withActivation(kind, [&](auto f) {
    elementwise(threads, count, [&](Size i, int n) {
      const F32x d = loadFirst(dy.data + i, n);
      const Curve curve = curveAt<decltype(f)::kind>(loadFirst(gate.data + i, n));
      storeFirst(dGate.data + i, d * loadFirst(up.data + i, n) * curve.slope, n);
      storeFirst(dUp.data + i, d * curve.value, n);
    });
  });
}

}  // namespace
QD_EXPORT(activationGate)
QD_EXPORT(activationGateBackward)
}  // namespace qdylora::QD_LEVEL
