// Computes: y = x·Wᵀ + bias and dx (+)= dy·W with a 4-bit W: [rows, cols] (blocks with absmax, single or
//   double quantized), decoded while it is packed.
// Owners: the blocked product of native/gemm/product.h; panels of W come from
//   native/per-level/pack-nf4-panels.cpp. A lane is a row of W (forward) or a column (backward).
// Cost: 2·tokens·rows·cols operations over about 0.53·rows·cols bytes of weight: bound by FMA from about 16
//   tokens on, by decoding (about 0.6 cycles a weight) below.
// Assumes: contiguous row-major arrays; lengths are checked below. Matrices whose blocks straddle rows (cols
//   is not a multiple of the block) are decoded element by element.
// Dropped: see native/per-level/pack-nf4-panels.cpp.
#include "../../native/gemm/product.h"

namespace qdylora::QD_LEVEL {
namespace {

double matmulNf4Scratch(Threads& threads, Size tokens, Size depth) {
  return static_cast<double>(productScratch(tokens, depth, threads.count()));
}

Status matmulNf4Forward(Threads& threads, Dense x, Nf4Arrays arrays, OptionalIn<float> bias, OutDense y,
                        Out<float> scratch, Size tokens, Size rows, Size cols, Size blockSize, bool tiled,
                        float nestedOffset, bool bf16) {
  if (const Status s = checkNf4(arrays, rows, cols, blockSize, tiled); s.code != Status::OK) return s;
  QD_NEED(x, times(tokens, cols));
  QD_NEED_IF_GIVEN(bias, rows);
  QD_NEED(y, times(tokens, rows));
  QD_NEED(scratch, productScratch(tokens, cols, threads.count()));
  const Nf4Weight w = nf4Weight(arrays, rows, cols, blockSize, tiled, nestedOffset);
  multiply(threads, {tokens, rows, toDense(y, rows, false, bias.data)}, scratch.data,
           {rowMajor(x, cols, tokens, bf16), rowsAsColumns(w, bf16), cols});
  return ok();
}

Status matmulNf4InputGradient(Threads& threads, Dense dy, Nf4Arrays arrays, OutDense dx, Out<float> scratch,
                              Size tokens, Size rows, Size cols, Size blockSize, bool tiled,
                              float nestedOffset, bool bf16, bool accumulate) {
  if (const Status s = checkNf4(arrays, rows, cols, blockSize, tiled); s.code != Status::OK) return s;
  QD_NEED(dy, times(tokens, rows));
  QD_NEED(dx, times(tokens, cols));
  QD_NEED(scratch, productScratch(tokens, rows, threads.count()));
  const Nf4Weight w = nf4Weight(arrays, rows, cols, blockSize, tiled, nestedOffset);
  multiply(threads, {tokens, cols, toDense(dx, cols, accumulate)}, scratch.data,
           {rowMajor(dy, rows, tokens, bf16), columnsOf(w, bf16), rows});
  return ok();
}

}  // namespace
QD_EXPORT(matmulNf4Scratch)
QD_EXPORT(matmulNf4Forward)
QD_EXPORT(matmulNf4InputGradient)
}  // namespace qdylora::QD_LEVEL
