// Computes: y = value, everywhere.
// Owners: A thread owns a contiguous share of the elements; a lane is one element.
// Cost: 4 bytes per element: bound by memory bandwidth.
// Assumes: no alignment; the length is checked below.
// Not done: non-temporal stores, because a cleared gradient is added to at once.
#include "../../native/elementwise.h"

namespace qdylora::QD_LEVEL {
namespace {

Status fill(Threads& threads, Out<float> y, Size count, float value) {
  QD_NEED(y, count);
  elementwise(threads, count, [=](Size i, int n) { storeFirst(y.data + i, all(value), n); });
  return ok();
}

}  // namespace
QD_EXPORT(fill)
}  // namespace qdylora::QD_LEVEL
