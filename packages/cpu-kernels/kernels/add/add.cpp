// Computes: add: y = a + b. add-into: sum += x, in float32 or bf16.
// Owners: A thread owns a contiguous share of the elements; a lane is one element.
// Cost: 12 bytes per element (6 in bf16) for one addition: bound by memory bandwidth. A large y goes past the
//   caches, unless it is a or b.
// Assumes: no alignment; lengths are checked below.
// Not done: stores past the caches in add-into, which has just read the lines of the sum.
#include "../../native/elementwise.h"

namespace qdylora::QD_LEVEL {
namespace {

Status add(Threads& threads, In<float> a, In<float> b, Out<float> y, Size count) {
  QD_NEED(a, count);
  QD_NEED(b, count);
  QD_NEED(y, count);
  const Outgoing<float> out(y.data, count, 64, y.data == a.data || y.data == b.data);
  elementwise(threads, count,
              [=](Size i, int n) { out.put(i, loadFirst(a.data + i, n) + loadFirst(b.data + i, n), n); });
  return ok();
}

template <class T>
Status addAs(Threads& threads, const T* x, T* sum, Size count) {
  if (!x || !sum) return unsupported("x and sum must have the same element type");
  elementwise(threads, count,
              [=](Size i, int n) { storeFirst(sum + i, loadFirst(sum + i, n) + loadFirst(x + i, n), n); });
  return ok();
}

Status addInto(Threads& threads, Dense x, OutDense sum, Size count) {
  QD_NEED(x, count);
  QD_NEED(sum, count);
  return x.f32 ? addAs(threads, x.f32, sum.f32, count) : addAs(threads, x.bf16, sum.bf16, count);
}

}  // namespace
QD_EXPORT(add)
QD_EXPORT(addInto)
}  // namespace qdylora::QD_LEVEL
