// Computes: y = x · factor.
// Owners: A thread owns a contiguous share of the elements; a lane is one element.
// Cost: reads 4 and writes 4 bytes per element for one multiplication: bound by memory bandwidth.
// Assumes: no alignment; x and y may be the same array. Lengths are checked below.
// Not done: non-temporal stores, because the next op reads y at once. Dropped: `elementwise` (native), with
//   stores of the first n lanes: 55 % more time for 2^20 elements (avx512_bf16, one thread, Zen 5, 2026).
#include "../../native/simd.h"

namespace qdylora::QD_LEVEL {
namespace {

// As ELEMENTWISE_GRAIN.
constexpr double GRAIN = 32768;

Status scaleBy(Threads& threads, In<float> x, In<float> factor, Out<float> y, Size count) {
  QD_NEED(x, count);
  QD_NEED(factor, 1);
  QD_NEED(y, count);
  const float scale = factor.data[0];
  const int parts = threads.partsFor(static_cast<double>(count), GRAIN);
  threads.run(parts, [&](int part) {
    const Range range = shareOf(count, parts, part, WIDTH);
    Size i = range.begin;
    for (; i + WIDTH <= range.end; i += WIDTH) store(y.data + i, load(x.data + i) * scale);
    for (; i < range.end; i++) y.data[i] = x.data[i] * scale;
  });
  return ok();
}

}  // namespace
QD_EXPORT(scaleBy)
}  // namespace qdylora::QD_LEVEL
