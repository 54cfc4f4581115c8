// y = x.
// Each thread owns one contiguous share of the elements, each lane one element.
// Moves 8 bytes per element: bound by memory bandwidth.
// Assumes that x and y do not overlap; lengths are checked below.
// Not done: non-temporal stores, because a copied cache row is read at once.
#include "../../native/elementwise.h"

namespace qdylora::QD_LEVEL {
namespace {

Status copy(Threads& threads, In<float> x, Out<float> y, Size count) {
  QD_NEED(x, count);
  QD_NEED(y, count);
  elementwise(threads, count, [&](Size i, int n) { storeFirst(y.data + i, loadFirst(x.data + i, n), n); });
  return ok();
}

}  // namespace
QD_EXPORT(copy)
}  // namespace qdylora::QD_LEVEL
