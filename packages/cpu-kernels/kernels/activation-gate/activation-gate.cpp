// Computes: y = f(gate) · up; gradient dUp = dy · f(gate), dGate = dy · up · f′(gate). f is SiLU, GELU (exact
//   or by tanh) or ReLU.
// Owners: A thread owns a contiguous share of the elements; a lane is one element.
// Cost: 12 bytes per element forward, 20 backward, half of that in bf16; 20 to 35 operations for an
//   exponential and a division. One core is near its memory bandwidth, several are bound by it.
// Assumes: no alignment; dGate may be dy, and dUp may be up. Lengths are checked below. A gate below −87.3
//   gives exactly 0.
// Not done: saving f(gate) for the backward pass: 4 more bytes per element to write, keep and read.
#include "../../native/activations.h"
#include "../../native/elementwise.h"

namespace qdylora::QD_LEVEL {
namespace {

// Half lines of bf16 numbers gain nothing past the caches: the exponential takes as long (Zen 4, 2026).
template <class T>
constexpr bool IS_HALF = sizeof(T) == 2;

constexpr Status unlike() { return unsupported("all arrays must have the same element type"); }

template <class T>
Status gateOf(Threads& threads, const T* gate, const T* up, T* y, Size count, Size kind) {
  if (!gate || !up || !y) return unlike();
  return withActivation(kind, [&](auto f) {
    const Outgoing<T> out(y, count, 64, IS_HALF<T>);
    elementwise(threads, count, [=](Size i, int n) {
      prefetchReads(gate + i, up + i);
      out.prefetch(i);
      out.put(i, valueAt<decltype(f)::kind>(loadFirst(gate + i, n)) * loadFirst(up + i, n), n);
    });
  });
}

Status activationGate(Threads& threads, Dense gate, Dense up, OutDense y, Size count, Size kind) {
  QD_NEED(gate, count);
  QD_NEED(up, count);
  QD_NEED(y, count);
  return gate.f32 ? gateOf(threads, gate.f32, up.f32, y.f32, count, kind)
                  : gateOf(threads, gate.bf16, up.bf16, y.bf16, count, kind);
}

template <class T>
Status gradientsOf(Threads& threads, const T* gate, const T* up, const T* dy, T* dGate, T* dUp, Size count,
                   Size kind) {
  if (!gate || !up || !dy || !dGate || !dUp) return unlike();
  return withActivation(kind, [&](auto f) {
    const Outgoing<T> toGate(dGate, count, 64, IS_HALF<T> || dGate == dy), toUp(dUp, count, 64, IS_HALF<T>);
    elementwise(threads, count, [=](Size i, int n) {
      prefetchReads(gate + i, up + i, dy + i);
      toGate.prefetch(i);
      toUp.prefetch(i);
      const F32x d = loadFirst(dy + i, n);
      const Curve curve = curveAt<decltype(f)::kind>(loadFirst(gate + i, n));
      toGate.put(i, d * loadFirst(up + i, n) * curve.slope, n);
      toUp.put(i, d * curve.value, n);
    });
  });
}

Status activationGateBackward(Threads& threads, Dense gate, Dense up, Dense dy, OutDense dGate, OutDense dUp,
                              Size count, Size kind) {
  QD_NEED(gate, count);
  QD_NEED(up, count);
  QD_NEED(dy, count);
  QD_NEED(dGate, count);
  QD_NEED(dUp, count);
  return gate.f32 ? gradientsOf(threads, gate.f32, up.f32, dy.f32, dGate.f32, dUp.f32, count, kind)
                  : gradientsOf(threads, gate.bf16, up.bf16, dy.bf16, dGate.bf16, dUp.bf16, count, kind);
}

}  // namespace
QD_EXPORT(activationGate)
QD_EXPORT(activationGateBackward)
}  // namespace qdylora::QD_LEVEL
