// Computes: y = x·Wᵀ + bias; dx (+)= dy·W; dW += dyᵀ·x, db += Σ dy. W: [out, in]. All arrays are f32 or bf16;
//   operands are rounded to bf16 where asked; sums are in f32.
// Owners: one blocked product (native/gemm/product.h): a thread owns a rectangle of C, a lane one column.
// Cost: 2·tokens·out·in operations over 4·(tokens·in + out·in + tokens·out) bytes: bound by FMA from about 16
//   tokens on, by memory below.
// Assumes: contiguous row-major arrays; lengths are checked below, shapes by the op.
// Dropped: see native/per-level/product.cpp and its neighbours.
#include "../../native/gemm/product.h"

namespace qdylora::QD_LEVEL {
namespace {

double linearScratch(Threads& threads, Size rows, Size depth) {
  return static_cast<double>(productScratch(rows, depth, threads.count()));
}

Status linearForward(Threads& threads, Dense x, Dense weight, OptionalIn<float> bias, OutDense y,
                     Out<float> scratch, Size tokens, Size out, Size in, bool bf16) {
  QD_NEED(x, times(tokens, in));
  QD_NEED(weight, times(out, in));
  QD_NEED_IF_GIVEN(bias, out);
  QD_NEED(y, times(tokens, out));
  QD_NEED(scratch, productScratch(tokens, in, threads.count()));
  multiply(threads, {tokens, out, toDense(y, out, false, bias.data)}, scratch.data,
           {rowMajor(x, in, tokens, bf16), rowsAsColumns(weight.f32, weight.bf16, in, bf16), in});
  return ok();
}

Status linearInputGradient(Threads& threads, Dense dy, Dense weight, OutDense dx, Out<float> scratch,
                           Size tokens, Size out, Size in, bool bf16, bool accumulate) {
  QD_NEED(dy, times(tokens, out));
  QD_NEED(weight, times(out, in));
  QD_NEED(dx, times(tokens, in));
  QD_NEED(scratch, productScratch(tokens, out, threads.count()));
  multiply(threads, {tokens, in, toDense(dx, in, accumulate)}, scratch.data,
           {rowMajor(dy, out, tokens, bf16), columnsOf(weight.f32, weight.bf16, in, bf16), out});
  return ok();
}

// Elements per thread below which it is not woken: twice ELEMENTWISE_GRAIN, for half as many bytes. Not
// tuned.
constexpr double COLUMN_SUMS_GRAIN = 65536;

// Adds the column sums of dy: blocks of rows first, so that the rounding error grows with their number and
// not with the tokens.
template <class T>
void addColumnSums(Threads& threads, const T* dy, Size tokens, Size out, float* sums) {
  constexpr Size BLOCK = 64;
  const int parts =
      threads.partsFor(static_cast<double>(tokens) * static_cast<double>(out), COLUMN_SUMS_GRAIN);
  threads.run(parts, [&](int part) {
    const Range range = shareOf(out, parts, part, WIDTH);
    for (Size o = range.begin; o < range.end; o += WIDTH) {
      const int lanes = static_cast<int>(smaller<Size>(WIDTH, range.end - o));
      F32x total = loadFirst(sums + o, lanes);
      for (Size from = 0; from < tokens; from += BLOCK) {
        F32x block{};
        for (Size t = from; t < smaller(from + BLOCK, tokens); t++)
          block += loadFirst(dy + t * out + o, lanes);
        total += block;
      }
      storeFirst(sums + o, total, lanes);
    }
  });
}

Status linearWeightGradient(Threads& threads, Dense x, Dense dy, OptionalOut<float> dWeight,
                            OptionalOut<float> dBias, Out<float> scratch, Size tokens, Size out, Size in,
                            bool bf16) {
  QD_NEED(x, times(tokens, in));
  QD_NEED(dy, times(tokens, out));
  QD_NEED_IF_GIVEN(dWeight, times(out, in));
  QD_NEED_IF_GIVEN(dBias, out);
  QD_NEED(scratch, productScratch(out, tokens, threads.count()));
  if (dWeight.data) {
    multiply(threads, {out, in, toFloats(dWeight.data, in, true)}, scratch.data,
             {columnMajor(dy, out, out, bf16), columnsOf(x.f32, x.bf16, in, bf16), tokens});
  }
  if (dBias.data && dy.f32) addColumnSums(threads, dy.f32, tokens, out, dBias.data);
  if (dBias.data && dy.bf16) addColumnSums(threads, dy.bf16, tokens, out, dBias.data);
  return ok();
}

}  // namespace
QD_EXPORT(linearScratch)
QD_EXPORT(linearForward)
QD_EXPORT(linearInputGradient)
QD_EXPORT(linearWeightGradient)
}  // namespace qdylora::QD_LEVEL
