// Computes: one Lion step in place: p·keep − rate·sign(β₁m + (1−β₁)g); m ← β₂m + (1−β₂)g, with g =
//   gradient · scale, sign(0) = 0 and rates = [rate, keep, scale].
// Owners: A thread owns a contiguous share of the elements; a lane is one element.
// Cost: reads 12 and writes 8 bytes per element: bound by memory.
// Assumes: nothing; lengths are checked below. Coefficients are computed in float64 and rounded once.
// Not done: fused multiply-adds: the step is bound by memory, and the sign of a sum of two products must not
//   depend on the level.
#include "../../native/elementwise.h"
#include "../../native/lion-rule.h"

namespace qdylora::QD_LEVEL {
namespace {

Status lionStep(Threads& threads, In<float> gradient, In<float> rates, Out<float> parameter, Out<float> m,
                Size count, double beta1, double beta2) {
  QD_NEED(gradient, count);
  QD_NEED(rates, 3);
  QD_NEED(parameter, count);
  QD_NEED(m, count);
  const LionRule rule(rates.data, beta1, beta2);
  elementwise(threads, count, [=](Size i, int n) {
    F32x p = loadFirst(parameter.data + i, n);
    F32x first = loadFirst(m.data + i, n);
    rule.update(loadFirst(gradient.data + i, n), p, first);
    storeFirst(parameter.data + i, p, n);
    storeFirst(m.data + i, first, n);
  });
  return ok();
}

}  // namespace
QD_EXPORT(lionStep)
}  // namespace qdylora::QD_LEVEL
