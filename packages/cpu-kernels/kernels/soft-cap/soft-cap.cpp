// y = cap · tanh(x / cap), and its gradient dx = dy · (1 − (y / cap)²), elementwise.
// Each thread owns one contiguous share of the elements, each lane one element.
// 8 bytes per element forward, 12 backward; some 20 operations for the tanh.
// Assumes nothing about alignment; y may be the array of x, dx that of dy. Lengths are checked below.
// Not done: keeping tanh for the gradient; y holds it, divided by cap.
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
