// Computes: y = e^x, y = 2^x, y = 1 / (1 + e^−x) and y = tanh x: the functions of native/vector-math.h,
//   exported for their accuracy test.
// Owners: one thread owns everything; a lane is one element.
// Cost: 8 bytes moved and about 20 operations per element.
// Assumes: no alignment; lengths are checked below.
// Dropped: nothing.
#include "../vector-math.h"

namespace qdylora::QD_LEVEL {
namespace {

template <class Function>
QD_INLINE Status apply(In<float> x, Out<float> y, Function function) {
  QD_NEED(y, x.size);
  for (Size i = 0; i < x.size; i += WIDTH) {
    const int lanes = static_cast<int>(smaller<Size>(WIDTH, x.size - i));
    storeFirst(y.data + i, function(loadFirst(x.data + i, lanes)), lanes);
  }
  return ok();
}

Status exponentials(In<float> x, Out<float> y) {
  return apply(x, y, [](F32x v) { return exponential(v); });
}
Status exponentials2(In<float> x, Out<float> y) {
  return apply(x, y, [](F32x v) { return exponential2(v); });
}
Status sigmoids(In<float> x, Out<float> y) {
  return apply(x, y, [](F32x v) { return sigmoid(v); });
}
Status hyperbolicTangents(In<float> x, Out<float> y) {
  return apply(x, y, [](F32x v) { return hyperbolicTangent(v); });
}

}  // namespace
QD_EXPORT(exponentials)
QD_EXPORT(exponentials2)
QD_EXPORT(sigmoids)
QD_EXPORT(hyperbolicTangents)
}  // namespace qdylora::QD_LEVEL
