// Computes: y = x · r · w with r = 1 / √(mean(x²) + ε), w = weight + offset; residual-norm: the same for x =
//   a + b. Backward: dx = r·w·dy − r³·c·x with c = Σ dy·w·x / hidden; dWeight += Σ dy·x·r.
// Owners: a thread owns whole rows, in blocks of 32. The sums of a row run in 4 vectors, joined as a tree.
//   dWeight: one partial row per block, added up in block order.
// Cost: forward 8 bytes per element, with the sum 16 (12 and 8 in two ops), backward 12 (16 where dx is added
//   to): bound by memory. A row is read again from the first cache.
// Assumes: contiguous rows; y and dy may be bf16. Sizes are checked below; the scratch size comes from
//   rmsNormBackwardScratch.
// Not done: float64 sums: 4 × WIDTH partial sums keep the error near √(hidden / 32)·ε.
#include "../../native/outgoing.h"
#include "../../native/rows.h"

namespace qdylora::QD_LEVEL {
namespace {

// Returns r of the row.
template <class T>
QD_INLINE float normalizeRow(const float* row, const float* weight, Outgoing<T> y, Size hidden, float epsilon,
                             float weightOffset) {
  const float squares = rowSum(hidden, [&](Size i, int n) {
    prefetchReads(row + i);
    const F32x v = loadFirst(row + i, n);
    return v * v;
  });
  const float inverse = 1.f / __builtin_sqrtf(squares / static_cast<float>(hidden) + epsilon);
  alongRow(hidden, [&](Size i, int n) {
    y.prefetch(i);
    prefetchNextRow(hidden, row + i);
    y.put(i, loadFirst(row + i, n) * inverse * (loadFirst(weight + i, n) + weightOffset), n);
  });
  return inverse;
}

// Calls body(y) with y of its type.
template <class Body>
QD_INLINE void withRows(const OutDense& y, Size tokens, Size hidden, const Body& body) {
  if (y.f32)
    body(Outgoing<float>(y.f32, tokens * hidden, hidden));
  else
    body(Outgoing<BFloat16>(y.bf16, tokens * hidden, hidden));
}

Status rmsNorm(Threads& threads, In<float> x, In<float> weight, OutDense y, Out<float> inverseRms,
               Size tokens, Size hidden, float epsilon, float weightOffset) {
  QD_NEED(x, times(tokens, hidden));
  QD_NEED(weight, hidden);
  QD_NEED(y, times(tokens, hidden));
  QD_NEED(inverseRms, tokens);
  const int parts = threads.partsFor(static_cast<double>(tokens * hidden), ROWS_GRAIN);
  withRows(y, tokens, hidden, [&](const auto& rows) {
    threads.run(parts, [&](int part) {
      const Range range = shareOf(tokens, parts, part);
      for (Size t = range.begin; t < range.end; t++)
        inverseRms.data[t] = normalizeRow(x.data + t * hidden, weight.data, rows.from(t * hidden), hidden,
                                          epsilon, weightOffset);
      streamFence();
    });
  });
  return ok();
}

Status residualNorm(Threads& threads, In<float> a, In<float> b, In<float> weight, Out<float> sum, OutDense y,
                    Out<float> inverseRms, Size tokens, Size hidden, float epsilon, float weightOffset) {
  QD_NEED(a, times(tokens, hidden));
  QD_NEED(b, times(tokens, hidden));
  QD_NEED(weight, hidden);
  QD_NEED(sum, times(tokens, hidden));
  QD_NEED(y, times(tokens, hidden));
  QD_NEED(inverseRms, tokens);
  const int parts = threads.partsFor(static_cast<double>(tokens * hidden), ROWS_GRAIN);
  withRows(y, tokens, hidden, [&](const auto& rows) {
    threads.run(parts, [&](int part) {
      const Range range = shareOf(tokens, parts, part);
      for (Size t = range.begin; t < range.end; t++) {
        const Size row = t * hidden;
        alongRow(hidden, [&](Size i, int n) {
          prefetchReads(a.data + row + i, b.data + row + i);
          prefetchWrites(sum.data + row + i);
          storeFirst(sum.data + row + i, loadFirst(a.data + row + i, n) + loadFirst(b.data + row + i, n), n);
        });
        inverseRms.data[t] =
            normalizeRow(sum.data + row, weight.data, rows.from(row), hidden, epsilon, weightOffset);
      }
      streamFence();
    });
  });
  return ok();
}

// Floats of scratch that rmsNormBackward needs.
Size rmsNormBackwardScratch(Size tokens, Size hidden, bool withWeight) {
  return withWeight ? rowBlocks(tokens) * hidden : 0;
}

// One row of the backward pass; each array begins at this row.
struct BackwardRow {
  const float* x;
  const float* weight;
  float* dx;
  float* partial;  // the block's sums for dWeight, or nullptr
  float r;
  float weightOffset;
  bool accumulate;  // to what is in dx
};

template <class T>
QD_INLINE void backwardRow(const BackwardRow& a, const T* gradients, Outgoing<float> out, Size hidden) {
  const float projection = rowSum(hidden, [&](Size i, int n) {
    prefetchReads(gradients + i, a.x + i);
    out.prefetch(i);
    return loadFirst(gradients + i, n) * (loadFirst(a.weight + i, n) + a.weightOffset) *
           loadFirst(a.x + i, n);
  });
  const float factor = a.r * a.r * a.r * (projection / static_cast<float>(hidden));
  alongRow(hidden, [&](Size i, int n) {
    prefetchNextRow(hidden, a.x + i, gradients + i);
    const F32x x = loadFirst(a.x + i, n);
    const F32x dy = loadFirst(gradients + i, n);
    const F32x w = loadFirst(a.weight + i, n) + a.weightOffset;
    const F32x gradient = a.r * w * dy - factor * x;
    out.put(i, a.accumulate ? loadFirst(a.dx + i, n) + gradient : gradient, n);
    if (a.partial) storeFirst(a.partial + i, fma(dy * x, all(a.r), loadFirst(a.partial + i, n)), n);
  });
}

Status rmsNormBackward(Threads& threads, In<float> x, In<float> weight, In<float> inverseRms, Dense dy,
                       Out<float> dx, OptionalOut<float> dWeight, Out<float> scratch, Size tokens,
                       Size hidden, float weightOffset, bool accumulate) {
  QD_NEED(x, times(tokens, hidden));
  QD_NEED(weight, hidden);
  QD_NEED(inverseRms, tokens);
  QD_NEED(dy, times(tokens, hidden));
  QD_NEED(dx, times(tokens, hidden));
  QD_NEED_IF_GIVEN(dWeight, hidden);
  QD_NEED(scratch, rmsNormBackwardScratch(tokens, hidden, dWeight.data));
  const Size blocks = rowBlocks(tokens);
  const Outgoing<float> out(dx.data, tokens * hidden, hidden, accumulate);
  const int parts = threads.partsFor(static_cast<double>(tokens * hidden), ROWS_GRAIN);
  threads.run(parts, [&](int part) {
    const Range range = shareOf(tokens, parts, part, ROW_BLOCK);
    for (Size t = range.begin; t < range.end; t++) {
      float* partial = dWeight.data ? scratch.data + t / ROW_BLOCK * hidden : nullptr;
      if (partial && t % ROW_BLOCK == 0)
        for (Size i = 0; i < hidden; i++) partial[i] = 0;
      const BackwardRow row{
          x.data + t * hidden, weight.data, dx.data + t * hidden, partial, inverseRms.data[t],
          weightOffset,        accumulate};
      if (dy.f32)
        backwardRow(row, dy.f32 + t * hidden, out.from(t * hidden), hidden);
      else
        backwardRow(row, dy.bf16 + t * hidden, out.from(t * hidden), hidden);
    }
    streamFence();
    if (!dWeight.data) return;
    threads.barrier();
    const Range columns = shareOf(hidden, parts, part, 16);
    addPartials(dWeight.data, scratch.data, blocks, hidden, columns);
  });
  return ok();
}

}  // namespace
QD_EXPORT(rmsNorm)
QD_EXPORT(residualNorm)
QD_EXPORT(rmsNormBackwardScratch)
QD_EXPORT(rmsNormBackward)
}  // namespace qdylora::QD_LEVEL
