// Computes: y = cap · tanh(x / cap); gradient dx = dy · (1 − (y / cap)²).
// Owners: A thread owns a contiguous share of the elements; a lane is one element.
// Cost: 8 bytes per element forward, 12 backward; about 20 operations for the tanh.
// Assumes: no alignment; y may be x, dx may be dy. Lengths are checked below.
// Not done: saving tanh for the gradient: y divided by cap is the same.
#include "../../native/elementwise.h"
#include "../../native/vector-math.h"

namespace qdylora::QD_LEVEL {
namespace {

Status softCap(Threads& threads, In<float> x, Out<float> y, Size count, float cap) {
  QD_NEED(x, count);
  QD_NEED(y, count);
  const Outgoing<float> out(y.data, count, 64, y.data == x.data);
  elementwise(threads, count,
              [=](Size i, int n) { out.put(i, cap * hyperbolicTangent(loadFirst(x.data + i, n) / cap), n); });
  return ok();
}

Status softCapBackward(Threads& threads, In<float> y, In<float> dy, Out<float> dx, Size count, float cap) {
  QD_NEED(y, count);
  QD_NEED(dy, count);
  QD_NEED(dx, count);
  elementwise(threads, count, [=](Size i, int n) {
    const F32x t = loadFirst(y.data + i, n) / cap;
    storeFirst(dx.data + i, loadFirst(dy.data + i, n) * fma(-t, t, all(1.f)), n);
  });
  return ok();
}

}  // namespace
QD_EXPORT(softCap)
QD_EXPORT(softCapBackward)
}  // namespace qdylora::QD_LEVEL
