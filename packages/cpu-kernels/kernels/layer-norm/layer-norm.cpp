// Computes: y = n · w + b with n = (x − mean) · r, r = 1 / √(variance + ε). Backward, with g = dy · w: dx = r
//   · (g − mean(g) − n · mean(g · n)), dWeight += Σ dy · n, dBias += Σ dy.
// Owners: a thread owns whole rows, in blocks of 32. The sums of a row run in 4 vectors, joined as a tree.
//   Gradients of parameters: one partial row per block, added up in block order.
// Cost: forward 8 bytes per element, backward 12 (16 where dx is added to): bound by memory. A row is read
//   again from the first cache.
// Assumes: contiguous rows; sizes are checked below. The scratch size comes from layerNormBackwardScratch.
// Not done: mean and variance in one pass: E[x²] − mean² cancels where the mean is large.
#include "../../native/outgoing.h"
#include "../../native/rows.h"

namespace qdylora::QD_LEVEL {
namespace {

Status layerNorm(Threads& threads, In<float> x, In<float> weight, OptionalIn<float> bias, Out<float> y,
                 Out<float> mean, Out<float> inverseDeviation, Size tokens, Size hidden, float epsilon) {
  QD_NEED(x, times(tokens, hidden));
  QD_NEED(weight, hidden);
  QD_NEED_IF_GIVEN(bias, hidden);
  QD_NEED(y, times(tokens, hidden));
  QD_NEED(mean, tokens);
  QD_NEED(inverseDeviation, tokens);
  const Outgoing<float> out(y.data, tokens * hidden, hidden);
  const int parts = threads.partsFor(static_cast<double>(tokens * hidden), ROWS_GRAIN);
  threads.run(parts, [&](int part) {
    const Range range = shareOf(tokens, parts, part);
    for (Size t = range.begin; t < range.end; t++) {
      const float* row = x.data + t * hidden;
      const float length = static_cast<float>(hidden);
      const float center = rowSum(hidden,
                                  [&](Size i, int n) {
                                    prefetchReads(row + i);
                                    return loadFirst(row + i, n);
                                  }) /
                           length;
      const float squares = rowSum(hidden, [&](Size i, int n) {
        const F32x d = firstOf(loadFirst(row + i, n) - center, n);
        return d * d;
      });
      const float inverse = 1.f / __builtin_sqrtf(squares / length + epsilon);
      mean.data[t] = center;
      inverseDeviation.data[t] = inverse;
      alongRow(hidden, [&](Size i, int n) {
        out.prefetch(t * hidden + i);
        prefetchNextRow(hidden, row + i);
        const F32x scaled = (loadFirst(row + i, n) - center) * inverse * loadFirst(weight.data + i, n);
        out.put(t * hidden + i, bias.data ? scaled + loadFirst(bias.data + i, n) : scaled, n);
      });
    }
    streamFence();
  });
  return ok();
}

// Floats of scratch that layerNormBackward needs: partial rows of each gradient that is wanted.
Size layerNormBackwardScratch(Size tokens, Size hidden, bool withWeight, bool withBias) {
  return rowBlocks(tokens) * hidden * (static_cast<Size>(withWeight) + static_cast<Size>(withBias));
}

// One row of the backward pass; each array begins at this row.
struct BackwardRow {
  const float* x;
  const float* weight;
  const float* dy;
  float* dx;
  float* weightPartial;  // the block's sums for dWeight, or nullptr
  float* biasPartial;    // the block's sums for dBias, or nullptr
  float mean;
  float r;
  bool accumulate;  // to what is in dx
};

QD_INLINE void backwardRow(const BackwardRow& a, Outgoing<float> out, Size hidden) {
  const auto normalized = [&](Size i, int n) { return (loadFirst(a.x + i, n) - a.mean) * a.r; };
  const auto scaled = [&](Size i, int n) { return loadFirst(a.dy + i, n) * loadFirst(a.weight + i, n); };
  const TwoSums sums = rowSum(hidden, [&](Size i, int n) {
    prefetchReads(a.dy + i, a.x + i);
    out.prefetch(i);
    const F32x g = scaled(i, n);
    return Two{g, g * normalized(i, n)};
  });
  const float length = static_cast<float>(hidden);
  const float sum = sums.first / length;
  const float projection = sums.second / length;
  alongRow(hidden, [&](Size i, int n) {
    prefetchNextRow(hidden, a.dy + i, a.x + i);
    const F32x dy = loadFirst(a.dy + i, n);
    const F32x x = normalized(i, n);
    const F32x gradient = a.r * (scaled(i, n) - sum - x * projection);
    out.put(i, a.accumulate ? loadFirst(a.dx + i, n) + gradient : gradient, n);
    if (a.weightPartial) storeFirst(a.weightPartial + i, fma(dy, x, loadFirst(a.weightPartial + i, n)), n);
    if (a.biasPartial) storeFirst(a.biasPartial + i, loadFirst(a.biasPartial + i, n) + dy, n);
  });
}

Status layerNormBackward(Threads& threads, In<float> x, In<float> weight, In<float> mean,
                         In<float> inverseDeviation, In<float> dy, Out<float> dx, OptionalOut<float> dWeight,
                         OptionalOut<float> dBias, Out<float> scratch, Size tokens, Size hidden,
                         bool accumulate) {
  QD_NEED(x, times(tokens, hidden));
  QD_NEED(weight, hidden);
  QD_NEED(mean, tokens);
  QD_NEED(inverseDeviation, tokens);
  QD_NEED(dy, times(tokens, hidden));
  QD_NEED(dx, times(tokens, hidden));
  QD_NEED_IF_GIVEN(dWeight, hidden);
  QD_NEED_IF_GIVEN(dBias, hidden);
  QD_NEED(scratch, layerNormBackwardScratch(tokens, hidden, dWeight.data, dBias.data));
  const Size blocks = rowBlocks(tokens);
  const Outgoing<float> out(dx.data, tokens * hidden, hidden, accumulate);
  float* const weightPartials = dWeight.data ? scratch.data : nullptr;
  float* const biasPartials = dBias.data ? scratch.data + (dWeight.data ? blocks * hidden : 0) : nullptr;
  const int parts = threads.partsFor(static_cast<double>(tokens * hidden), ROWS_GRAIN);
  threads.run(parts, [&](int part) {
    const Range range = shareOf(tokens, parts, part, ROW_BLOCK);
    for (Size t = range.begin; t < range.end; t++) {
      const auto partialOf = [&](float* partials) {
        float* partial = partials ? partials + t / ROW_BLOCK * hidden : nullptr;
        if (partial && t % ROW_BLOCK == 0)
          for (Size i = 0; i < hidden; i++) partial[i] = 0;
        return partial;
      };
      const Size row = t * hidden;
      backwardRow({x.data + row, weight.data, dy.data + row, dx.data + row, partialOf(weightPartials),
                   partialOf(biasPartials), mean.data[t], inverseDeviation.data[t], accumulate},
                  out.from(row), hidden);
    }
    streamFence();
    if (!weightPartials && !biasPartials) return;
    threads.barrier();
    const Range columns = shareOf(hidden, parts, part, 16);
    if (weightPartials) addPartials(dWeight.data, weightPartials, blocks, hidden, columns);
    if (biasPartials) addPartials(dBias.data, biasPartials, blocks, hidden, columns);
  });
  return ok();
}

}  // namespace
QD_EXPORT(layerNorm)
QD_EXPORT(layerNormBackwardScratch)
QD_EXPORT(layerNormBackward)
}  // namespace qdylora::QD_LEVEL
