// y = value, everywhere.
// Each thread owns one contiguous share of the elements, each lane one element.
// Writes 4 bytes per element: bound by memory bandwidth.
// Assumes nothing about alignment; the length is checked below.
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
