// Computes: y = f(x); gradient dx = dy · f′(x). f is SiLU, GELU (exact or by tanh) or ReLU.
// Owners: A thread owns a contiguous share of the elements; a lane is one element.
// Cost: 8 bytes per element forward, 12 backward; 20 to 35 operations for an exponential and a division. One
//   core is near its memory bandwidth, several are bound by it.
// Assumes: no alignment; y may be x, dx may be dy. Lengths are checked below.
// Not done: saving f′ for the backward pass: 4 more bytes per element to write, keep and read.
#include "../../native/activations.h"
#include "../../native/elementwise.h"

namespace qdylora::QD_LEVEL {
namespace {

Status activation(Threads& threads, In<float> x, Out<float> y, Size count, Size kind) {
  QD_NEED(x, count);
  QD_NEED(y, count);
  return withActivation(kind, [&](auto f) {
    const Outgoing<float> out(y.data, count, 64, y.data == x.data);
    elementwise(threads, count, [=](Size i, int n) {
      prefetchReads(x.data + i);
      out.prefetch(i);
      out.put(i, valueAt<decltype(f)::kind>(loadFirst(x.data + i, n)), n);
    });
  });
}

Status activationBackward(Threads& threads, In<float> x, In<float> dy, Out<float> dx, Size count, Size kind) {
  QD_NEED(x, count);
  QD_NEED(dy, count);
  QD_NEED(dx, count);
  return withActivation(kind, [&](auto f) {
    const Outgoing<float> out(dx.data, count, 64, dx.data == dy.data);
    elementwise(threads, count, [=](Size i, int n) {
      prefetchReads(x.data + i, dy.data + i);
      out.prefetch(i);
      out.put(i, loadFirst(dy.data + i, n) * curveAt<decltype(f)::kind>(loadFirst(x.data + i, n)).slope, n);
    });
  });
}

}  // namespace
QD_EXPORT(activation)
QD_EXPORT(activationBackward)
}  // namespace qdylora::QD_LEVEL
