// A frozen layer W (dense or 4-bit) and its nested adapter:  u = xa·Aᵀ, y = x·Wᵀ + bias + scale·u·B;  backward g = dy·Bᵀ, dx (+)= dy·W + scale·g·A, dA += scale·gᵀ·xa, dB += scale·uᵀ·dy.
// Blocked products (native/gemm/product.h) with one more term: the adapter is a longer depth, so y and dx are written once. x (dy) is packed once for W and the adapter.
// 2·tokens·(rows·cols + r·(rows + cols)) operations forward: the adapter costs in proportion to r, and nothing past r is touched.
// Assumes contiguous row-major arrays; A: [r, cols], B: [r, rows]; lengths are checked here. In bf16 both operands of every product are rounded, and multiplied in pairs where the level has those.
// Tried and dropped: two more products that add to y (reads and writes y again: 4 % of a 576x576 layer, Zen 3, 2026).
#include "../../native/gemm/product.h"

namespace qdylora::QD_LEVEL {
namespace {

struct Base { OptionalDense dense; Nf4Arrays nf4; Size rows, cols, blockSize; bool tiled; float nestedOffset; bool bf16; };

Status checkBase(const Base& base) {
  if (!base.dense.f32 && !base.dense.bf16) return checkNf4(base.nf4, base.rows, base.cols, base.blockSize, base.tiled);
  QD_NEED(base.dense, base.rows * base.cols);
  return ok();
}

Columns baseColumns(const Base& base, bool transposed) {
  const bool dense = base.dense.f32 || base.dense.bf16;
  if (dense && transposed) return rowsAsColumns(base.dense.f32, base.dense.bf16, base.cols, base.bf16);
  if (dense) return columnsOf(base.dense.f32, base.dense.bf16, base.cols, base.bf16);
  const Nf4Weight w = nf4Weight(base.nf4, base.rows, base.cols, base.blockSize, base.tiled, base.nestedOffset);
  return transposed ? rowsAsColumns(w, base.bf16) : columnsOf(w, base.bf16);
}

Size forwardFloats(Size tokens, Size cols, Size r, int threads) { return productScratch(tokens, cols + r, threads); }

double adaptedForwardScratch(Threads& threads, Size tokens, Size cols, Size r) { return static_cast<double>(forwardFloats(tokens, cols, r, threads.count())); }

Status adaptedLinearForward(Threads& threads, In<float> x, OptionalIn<float> xAdapter, OptionalDense weight, OptionalIn<std::uint8_t> codes, OptionalIn<float> levels, OptionalIn<float> absmax,
                            OptionalIn<std::uint8_t> absmaxCodes, OptionalIn<float> nestedAbsmax, OptionalIn<float> nestedMap, OptionalIn<float> bias, In<float> a, In<float> b, Out<float> y, Out<float> u,
                            Out<float> scratch, Size tokens, Size rows, Size cols, Size r, Size blockSize, bool tiled, float nestedOffset, float scale, bool bf16) {
  const Base base{weight, {codes, levels, absmax, absmaxCodes, nestedAbsmax, nestedMap}, rows, cols, blockSize, tiled, nestedOffset, bf16};
  if (const Status s = checkBase(base); s.code != Status::OK) return s;
  QD_NEED(x, tokens * cols);
  QD_NEED_IF_GIVEN(xAdapter, tokens * cols);
  QD_NEED_IF_GIVEN(bias, rows);
  QD_NEED(a, r * cols);
  QD_NEED(b, r * rows);
  QD_NEED(y, tokens * rows);
  QD_NEED(u, tokens * r);
  QD_NEED(scratch, forwardFloats(tokens, cols, r, threads.count()));
  const float* input = xAdapter.data ? xAdapter.data : x.data;
  const Term w{rowMajor(x.data, cols, tokens, bf16), baseColumns(base, true), cols};
  const Inner inner{{tokens, r, {u.data, r, false, nullptr}}, {rowMajor(input, cols, tokens, bf16), rowsAsColumns(a.data, nullptr, cols, bf16), cols}, !xAdapter.data && cols > 0};
  const Term outer{rowMajor(u.data, r, tokens, bf16, scale), columnsOf(b.data, nullptr, rows, bf16), r};
  const int parts = partsForProduct(threads, tokens, rows, cols);
  threads.run(parts, [&](int part) {
    if (!inner.shared) {
      multiplyPart(threads, parts, part, inner.product, scratch.data, inner.term);
      threads.barrier();
    }
    multiplyAdaptedPart(threads, parts, part, {tokens, rows, {y.data, rows, false, bias.data}}, scratch.data, w, inner, outer);
  });
  return ok();
}

// g, then whatever the largest product of the backward needs.
Size backwardFloats(Size tokens, Size rows, Size r, int threads) {
  const Size input = productScratch(tokens, rows + r, threads), adapter = productScratch(tokens, r, threads), gradients = productScratch(r, tokens, threads);
  return roundUp(tokens * r, 16) + larger(larger(input, adapter), gradients);
}

double adaptedBackwardScratch(Threads& threads, Size tokens, Size rows, Size r) { return static_cast<double>(backwardFloats(tokens, rows, r, threads.count())); }

Status adaptedLinearBackward(Threads& threads, In<float> dy, In<float> x, OptionalIn<float> xAdapter, In<float> u, OptionalDense weight, OptionalIn<std::uint8_t> codes, OptionalIn<float> levels,
                             OptionalIn<float> absmax, OptionalIn<std::uint8_t> absmaxCodes, OptionalIn<float> nestedAbsmax, OptionalIn<float> nestedMap, In<float> a, In<float> b, OptionalOut<float> dx,
                             OptionalOut<float> dxAdapter, OptionalOut<float> da, OptionalOut<float> db, Out<float> scratch, Size tokens, Size rows, Size cols, Size r, Size trainFrom, Size blockSize, bool tiled,
                             float nestedOffset, float scale, bool bf16, bool accumulate) {
  const Base base{weight, {codes, levels, absmax, absmaxCodes, nestedAbsmax, nestedMap}, rows, cols, blockSize, tiled, nestedOffset, bf16};
  if (const Status s = checkBase(base); s.code != Status::OK) return s;
  if (trainFrom > r) return unsupported("expected trainFrom within the rank");
  const Size trained = r - trainFrom;
  QD_NEED(dy, tokens * rows);
  QD_NEED(x, tokens * cols);
  QD_NEED_IF_GIVEN(xAdapter, tokens * cols);
  QD_NEED(u, tokens * r);
  QD_NEED(a, r * cols);
  QD_NEED(b, r * rows);
  QD_NEED_IF_GIVEN(dx, tokens * cols);
  QD_NEED_IF_GIVEN(dxAdapter, tokens * cols);
  QD_NEED_IF_GIVEN(da, trained * cols);
  QD_NEED_IF_GIVEN(db, trained * rows);
  QD_NEED(scratch, backwardFloats(tokens, rows, r, threads.count()));
  float *g = scratch.data, *work = scratch.data + roundUp(tokens * r, 16);  // g: [tokens, r], without the scale
  const float* input = xAdapter.data ? xAdapter.data : x.data;
  const Term w{rowMajor(dy.data, rows, tokens, bf16), baseColumns(base, false), rows};
  const Inner inner{{tokens, r, {g, r, false, nullptr}}, {rowMajor(dy.data, rows, tokens, bf16), rowsAsColumns(b.data, nullptr, rows, bf16), rows}, dx.data && rows > 0};
  const Term outer{rowMajor(g, r, tokens, bf16, scale), columnsOf(a.data, nullptr, cols, bf16), r};
  if (!inner.shared && (dx.data || dxAdapter.data || da.data)) multiply(threads, inner.product, work, inner.term);
  if (dx.data) {
    const Term own{outer.a, outer.b, dxAdapter.data ? 0 : r};  // g·A belongs to dx where x itself went into the adapter
    const int parts = partsForProduct(threads, tokens, cols, rows);
    threads.run(parts, [&](int part) { multiplyAdaptedPart(threads, parts, part, {tokens, cols, {dx.data, cols, accumulate, nullptr}}, work, w, inner, own); });
  }
  if (dxAdapter.data) multiply(threads, {tokens, cols, {dxAdapter.data, cols, false, nullptr}}, work, outer);
  if (da.data) multiply(threads, {trained, cols, {da.data, cols, true, nullptr}}, work, {columnMajor(g + trainFrom, r, trained, bf16, scale), columnsOf(input, nullptr, cols, bf16), tokens});
  if (db.data) multiply(threads, {trained, rows, {db.data, rows, true, nullptr}}, work, {columnMajor(u.data + trainFrom, r, trained, bf16, scale), columnsOf(dy.data, nullptr, rows, bf16), tokens});
  return ok();
}

}  // namespace
QD_EXPORT(adaptedForwardScratch)
QD_EXPORT(adaptedLinearForward)
QD_EXPORT(adaptedBackwardScratch)
QD_EXPORT(adaptedLinearBackward)
}  // namespace qdylora::QD_LEVEL
