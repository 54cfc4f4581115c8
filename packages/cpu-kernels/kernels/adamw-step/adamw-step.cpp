// Computes: one AdamW step in place, in torch's order: p·keep; m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²;
//   p − stepSize·m / (√v / rootCorrection + ε), with g = gradient · scale and
//   rates = [stepSize, rootCorrection, keep, scale].
// Owners: A thread owns a contiguous share of the elements; a lane is one element.
// Cost: reads 16 and writes 12 bytes per element, with one square root and two divisions: bound by memory.
// Assumes: lengths are checked below. Coefficients are computed in float64 and rounded once. The rates are
//   an array, because a recorded step is replayed with the rates of another one.
// Not done: approximate reciprocals and fused multiply-adds: torch uses neither, and the step is bound by
//   memory anyway.
#include "../../native/elementwise.h"

namespace qdylora::QD_LEVEL {
namespace {

Status adamwStep(Threads& threads, In<float> gradient, In<float> rates, Out<float> parameter, Out<float> m,
                 Out<float> v, Size count, double beta1, double beta2, double epsilon) {
  QD_NEED(gradient, count);
  QD_NEED(rates, 4);
  QD_NEED(parameter, count);
  QD_NEED(m, count);
  QD_NEED(v, count);
  const float stepSize = rates.data[0];
  const float rootCorrection = rates.data[1];
  const float keep = rates.data[2];
  const float scale = rates.data[3];
  const float b1 = static_cast<float>(beta1);
  const float b2 = static_cast<float>(beta2);
  const float rest1 = static_cast<float>(1 - beta1);
  const float rest2 = static_cast<float>(1 - beta2);
  const float least = static_cast<float>(epsilon);
  elementwise(threads, count, [=](Size i, int n) {
    const F32x g = loadFirst(gradient.data + i, n) * scale;
    const F32x first = b1 * loadFirst(m.data + i, n) + rest1 * g;
    const F32x second = b2 * loadFirst(v.data + i, n) + rest2 * g * g;
    storeFirst(parameter.data + i,
               loadFirst(parameter.data + i, n) * keep -
                   (stepSize * first) / (squareRoot(second) / rootCorrection + least),
               n);
    storeFirst(m.data + i, first, n);
    storeFirst(v.data + i, second, n);
  });
  return ok();
}

}  // namespace
QD_EXPORT(adamwStep)
}  // namespace qdylora::QD_LEVEL
