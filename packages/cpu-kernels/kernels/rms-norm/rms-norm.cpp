// y = x · r · w with r = 1 / √(mean(x²) + ε), w = weight + offset; backward dx = r·w·dy − r³·c·x with c = Σ dy·w·x / hidden, dWeight += Σ dy·x·r.
// Each thread owns whole rows, in blocks of 32; a row's sums run in 4 vectors, joined as a tree. dWeight: one partial row per block, added up in block order.
// Forward 8 bytes per element, backward 12 (16 where dx is added to): bound by memory; a row is read again from the first cache.
// Assumes contiguous rows; sizes are checked below, the scratch size comes from rmsNormBackwardScratch.
// Not done: float64 sums; 4 × WIDTH partial sums keep the error near √(hidden / 32)·ε.
#include "../../native/simd.h"

namespace qdylora::QD_LEVEL {
namespace {

// Rows whose weight gradients add up in one partial: fixed, so that the sum does not depend on the number of threads.
constexpr Size BLOCK = 32;
constexpr double GRAIN = 16384;

// Σ term(i, n) over a row, term giving WIDTH products (0 past n).
template <class Term>
QD_INLINE float rowSum(Size hidden, const Term& term) {
  F32x sum[4] = {};
  Size i = 0;
  for (; i + 4 * WIDTH <= hidden; i += 4 * WIDTH) for (int j = 0; j < 4; j++) sum[j] = sum[j] + term(i + static_cast<Size>(j) * WIDTH, WIDTH);
  for (; i < hidden; i += WIDTH) sum[0] = sum[0] + term(i, static_cast<int>(smaller<Size>(WIDTH, hidden - i)));
  return sumOf((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

template <class Body>
QD_INLINE void alongRow(Size hidden, const Body& body) {
  Size i = 0;
  for (; i + WIDTH <= hidden; i += WIDTH) body(i, WIDTH);
  if (i < hidden) body(i, static_cast<int>(hidden - i));
}

Status rmsNorm(Threads& threads, In<float> x, In<float> weight, Out<float> y, Out<float> inverseRms, Size tokens, Size hidden, float epsilon, float weightOffset) {
  QD_NEED(x, tokens * hidden);
  QD_NEED(weight, hidden);
  QD_NEED(y, tokens * hidden);
  QD_NEED(inverseRms, tokens);
  const int parts = threads.partsFor(static_cast<double>(tokens * hidden), GRAIN);
  threads.run(parts, [&](int part) {
    const Range range = shareOf(tokens, parts, part);
    for (Size t = range.begin; t < range.end; t++) {
      const float* row = x.data + t * hidden;
      const float squares = rowSum(hidden, [&](Size i, int n) { const F32x v = loadFirst(row + i, n); return v * v; });
      const float inverse = 1.f / __builtin_sqrtf(squares / static_cast<float>(hidden) + epsilon);
      inverseRms.data[t] = inverse;
      alongRow(hidden, [&](Size i, int n) { storeFirst(y.data + t * hidden + i, loadFirst(row + i, n) * inverse * (loadFirst(weight.data + i, n) + weightOffset), n); });
    }
  });
  return ok();
}

// Floats of scratch that rmsNormBackward needs.
Size rmsNormBackwardScratch(Size tokens, Size hidden, bool withWeight) { return withWeight ? (tokens + BLOCK - 1) / BLOCK * hidden : 0; }

struct BackwardRow { const float *x, *weight, *dy; float *dx, *partial; float r, weightOffset; bool accumulate; };

QD_INLINE void backwardRow(const BackwardRow& a, Size hidden) {
  const float projection = rowSum(hidden, [&](Size i, int n) { return loadFirst(a.dy + i, n) * (loadFirst(a.weight + i, n) + a.weightOffset) * loadFirst(a.x + i, n); });
  const float factor = a.r * a.r * a.r * (projection / static_cast<float>(hidden));
  alongRow(hidden, [&](Size i, int n) {
    const F32x x = loadFirst(a.x + i, n), dy = loadFirst(a.dy + i, n), w = loadFirst(a.weight + i, n) + a.weightOffset;
    const F32x gradient = a.r * w * dy - factor * x;
    storeFirst(a.dx + i, a.accumulate ? loadFirst(a.dx + i, n) + gradient : gradient, n);
    if (a.partial) storeFirst(a.partial + i, fma(dy * x, all(a.r), loadFirst(a.partial + i, n)), n);
  });
}

Status rmsNormBackward(Threads& threads, In<float> x, In<float> weight, In<float> inverseRms, In<float> dy, Out<float> dx, OptionalOut<float> dWeight, Out<float> scratch,
                       Size tokens, Size hidden, float weightOffset, bool accumulate) {
  QD_NEED(x, tokens * hidden);
  QD_NEED(weight, hidden);
  QD_NEED(inverseRms, tokens);
  QD_NEED(dy, tokens * hidden);
  QD_NEED(dx, tokens * hidden);
  QD_NEED_IF_GIVEN(dWeight, hidden);
  QD_NEED(scratch, rmsNormBackwardScratch(tokens, hidden, dWeight.data));
  const Size blocks = (tokens + BLOCK - 1) / BLOCK;
  const int parts = threads.partsFor(static_cast<double>(tokens * hidden), GRAIN);
  threads.run(parts, [&](int part) {
    const Range range = shareOf(tokens, parts, part, BLOCK);
    for (Size t = range.begin; t < range.end; t++) {
      float* partial = dWeight.data ? scratch.data + t / BLOCK * hidden : nullptr;
      if (partial && t % BLOCK == 0) for (Size i = 0; i < hidden; i++) partial[i] = 0;
      backwardRow({x.data + t * hidden, weight.data, dy.data + t * hidden, dx.data + t * hidden, partial, inverseRms.data[t], weightOffset, accumulate}, hidden);
    }
    if (!dWeight.data) return;
    threads.barrier();
    const Range columns = shareOf(hidden, parts, part, 16);
    alongRow(columns.end - columns.begin, [&](Size i, int n) {
      F32x sum{};
      for (Size block = 0; block < blocks; block++) sum = sum + loadFirst(scratch.data + block * hidden + columns.begin + i, n);
      storeFirst(dWeight.data + columns.begin + i, loadFirst(dWeight.data + columns.begin + i, n) + sum, n);
    });
  });
  return ok();
}

}  // namespace
QD_EXPORT(rmsNorm)
QD_EXPORT(rmsNormBackwardScratch)
QD_EXPORT(rmsNormBackward)
}  // namespace qdylora::QD_LEVEL
