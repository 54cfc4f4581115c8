// add: y = a + b.  add-into: sum += x.
// Each thread owns one contiguous share of the elements, each lane one element.
// add moves 12 bytes per element, add-into 12 as well, for one addition: bound by memory bandwidth.
// Assumes nothing about alignment; lengths are checked below.
// Not done: non-temporal stores, because the next op reads the sum at once.
#include "../../native/elementwise.h"

namespace qdylora::QD_LEVEL {
namespace {

Status add(Threads& threads, In<float> a, In<float> b, Out<float> y, Size count) {
  QD_NEED(a, count);
  QD_NEED(b, count);
  QD_NEED(y, count);
  elementwise(threads, count, [&](Size i, int n) { storeFirst(y.data + i, loadFirst(a.data + i, n) + loadFirst(b.data + i, n), n); });
  return ok();
}

Status addInto(Threads& threads, In<float> x, Out<float> sum, Size count) {
  QD_NEED(x, count);
  QD_NEED(sum, count);
  elementwise(threads, count, [&](Size i, int n) { storeFirst(sum.data + i, loadFirst(sum.data + i, n) + loadFirst(x.data + i, n), n); });
  return ok();
}

}  // namespace
QD_EXPORT(add)
QD_EXPORT(addInto)
}  // namespace qdylora::QD_LEVEL
