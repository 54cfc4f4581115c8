// Computes: y = x.
// Owners: A thread owns a contiguous share of the elements; a lane is one element.
// Cost: 8 bytes per element, 4 in bf16: bound by memory bandwidth.
// Assumes: x and y do not overlap. Lengths are checked below.
// Not done: non-temporal stores, because the copy is read at once.
#include "../../native/elementwise.h"

namespace qdylora::QD_LEVEL {
namespace {

template <class T>
Status copyAs(Threads& threads, const T* x, T* y, Size count) {
  if (!x || !y) return unsupported("x and y must have the same element type");
  elementwise(threads, count, [=](Size i, int n) { storeFirst(y + i, loadFirst(x + i, n), n); });
  return ok();
}

Status copy(Threads& threads, Dense x, OutDense y, Size count) {
  QD_NEED(x, count);
  QD_NEED(y, count);
  return x.f32 ? copyAs(threads, x.f32, y.f32, count) : copyAs(threads, x.bf16, y.bf16, count);
}

}  // namespace
QD_EXPORT(copy)
}  // namespace qdylora::QD_LEVEL
