// Frozen layers W of one input (dense or 4-bit), each with a nested adapter or without: u = xa·Aᵀ, y = x·Wᵀ +
//   bias + scale·u·B; backward g = dy·Bᵀ, dx (+)= Σ dy·W + scale·g·A,
// dA += scale·gᵀ·xa, dB += scale·uᵀ·dy.
// Blocked products in stages (native/gemm/product.h). The adapter is a longer depth, and so are the other
//   layers in dx: y and dx are written once. x (each dy) is packed once for all.
// 2·tokens·Σ(rows·cols + r·(rows + cols)) operations forward: an adapter costs in proportion to r, and
//   nothing past r is touched.
// Assumes contiguous row-major arrays; A: [r, cols], B: [r, rows]; lengths are checked here. In bf16 both
//   operands of every product are rounded, and multiplied in pairs where the level has those.
// Tried and dropped: two more products that add to y (reads and writes y again: 4 % of a 576x576 layer, Zen
//   3, 2026).
#include "../../native/gemm/product.h"

namespace qdylora::QD_LEVEL {

// The frozen weight: dense, or the arrays of a 4-bit one.
struct Base {
  OptionalDense dense;
  Nf4Arrays nf4;
  Size rows, blockSize;
  bool tiled;
  float nestedOffset;
};
template <>
struct Parameter<Base> : Fields<Base, OptionalDense, Nf4Arrays, Size, Size, bool, float> {};

// One layer of a group; `a` and `b` are left out where it has no adapter, `y` where nobody reads it.
struct Layer {
  Base base;
  OptionalIn<float> bias, a, b;
  OptionalOutDense y;
  OptionalOut<float> u;
  float scale;
};
template <>
struct Parameter<Layer> : Fields<Layer, Base, OptionalIn<float>, OptionalIn<float>, OptionalIn<float>,
                                 OptionalOutDense, OptionalOut<float>, float> {};

struct BackwardLayer {
  Base base;
  OptionalDense dy;
  OptionalIn<float> u, a, b;
  OptionalOut<float> da, db;
  float scale;
};
template <>
struct Parameter<BackwardLayer>
    : Fields<BackwardLayer, Base, OptionalDense, OptionalIn<float>, OptionalIn<float>, OptionalIn<float>,
             OptionalOut<float>, OptionalOut<float>, float> {};

// Rows at ranks of their own: rows up to `at[3·i]` (from the end of part i − 1) are at rank at[3·i + 1], and
// give gradients from row at[3·i + 2] of A and B on.
// factors[2·i]: what their scale is multiplied by; factors[2·i + 1]: what the gradients that they give to A
// and B are.
struct RankParts {
  OptionalIn<std::int32_t> at;
  OptionalIn<float> factors;
  Size r;
  QD_INLINE Size count() const { return factors.data ? factors.size / 2 : 0; }
  QD_INLINE float factor(Size i) const { return factors.data[2 * i]; }
  QD_INLINE float weight(Size i) const { return factors.data[2 * i + 1]; }
};
template <>
struct Parameter<RankParts> : Fields<RankParts, OptionalIn<std::int32_t>, OptionalIn<float>, Size> {};

namespace {

// Calls visit(row, part) for the rows of [begin, end).
template <class Visit>
QD_INLINE void eachRow(const RankParts& parts, Size begin, Size end, const Visit& visit) {
  Size row = begin;
  for (Size i = 0; i < parts.count(); i++) {
    for (const Size until = smaller(static_cast<Size>(parts.at.data[3 * i]), end); row < until; row++)
      visit(row, i);
  }
}

// u (or g) of rows at ranks of their own: times the part's factor, and 0 past its rank.
void limitToRank(const void* context, float* data, Size begin, Size end) {
  const RankParts& parts = *static_cast<const RankParts*>(context);
  eachRow(parts, begin, end, [&](Size row, Size i) {
    float* at = data + row * parts.r;
    const Size rank = static_cast<Size>(parts.at.data[3 * i + 1]);
    for (Size k = 0; k < parts.r; k++) at[k] = k < rank ? at[k] * parts.factor(i) : 0.f;
  });
}

// Rows of u (or g) as they count for gradients: times the part's weight, and without what gives none.
void copyTrained(const RankParts& parts, const float* from, float* to, Range rows) {
  eachRow(parts, rows.begin, rows.end, [&](Size row, Size i) {
    const Size trainFrom = static_cast<Size>(parts.at.data[3 * i + 2]);
    const float weight = parts.weight(i);
    for (Size k = 0; k < parts.r; k++)
      to[row * parts.r + k] = k < trainFrom ? 0.f : weight * from[row * parts.r + k];
  });
}

// True where a part gives no gradient to rows that another one trains, or gives one that counts more or less.
bool cutsGradients(const RankParts& parts, Size trainFrom) {
  for (Size i = 0; i < parts.count(); i++)
    if (static_cast<Size>(parts.at.data[3 * i + 2]) > trainFrom || parts.weight(i) != 1.f) return true;
  return false;
}

Status checkParts(const RankParts& parts, Size tokens, Size r) {
  if (!parts.count()) return ok();
  if (parts.r != r) return unsupported("expected the rank of the layers for the parts");
  QD_NEED(parts.at, 3 * parts.count());
  Size before = 0;
  for (Size i = 0; i < parts.count(); i++) {
    const std::int32_t* p = parts.at.data + 3 * i;
    if (p[0] < 0 || static_cast<Size>(p[0]) < before || p[2] < 0 || p[1] < p[2] ||
        static_cast<Size>(p[1]) > r)
      return unsupported("expected parts that rise, with ranks within the adapter");
    before = static_cast<Size>(p[0]);
  }
  return before == tokens ? ok() : unsupported("expected parts that end with the tokens");
}

Status checkBase(const Base& base, Size cols) {
  if (!isGiven(base.dense)) return checkNf4(base.nf4, base.rows, cols, base.blockSize, base.tiled);
  QD_NEED(base.dense, times(base.rows, cols));
  return ok();
}

Columns baseColumns(const Base& base, Size cols, bool bf16, bool transposed) {
  const bool dense = isGiven(base.dense);
  if (dense && transposed) return rowsAsColumns(base.dense.f32, base.dense.bf16, cols, bf16);
  if (dense) return columnsOf(base.dense.f32, base.dense.bf16, cols, bf16);
  const Nf4Weight w = nf4Weight(base.nf4, base.rows, cols, base.blockSize, base.tiled, base.nestedOffset);
  return transposed ? rowsAsColumns(w, bf16) : columnsOf(w, bf16);
}

template <class L>
Size rowsOf(const L* layers, Size count) {
  Size rows = 0;
  for (Size i = 0; i < count; i++) rows += layers[i].base.rows;
  return rows;
}

// `r` counts in the size of the scratch, and only the arrays of an adapter bound it.
template <class L>
bool hasRankOfItsOwn(const L* layers, Size count, Size r) {
  for (Size i = 0; i < count; i++)
    if (layers[i].a.data) return true;
  return r == 0;
}
constexpr const char* RANK_OF_NOTHING = "expected rank 0 for layers without adapters";

Size forwardFloats(Size tokens, Size cols, Size r, Size layers, int threads) {
  return productScratch(tokens, cols + layers * r, threads);
}

double adaptedForwardScratch(Threads& threads, Size tokens, Size cols, Size r, Size layers) {
  return static_cast<double>(forwardFloats(tokens, cols, r, layers, threads.count()));
}

// `r`: the rank of the layers that have an adapter; the first `count` layers are meant.
Status adaptedLinearForward(Threads& threads, Dense x, OptionalDense xAdapter, Layer first, Layer second,
                            Layer third, RankParts rankParts, Out<float> scratch, Size count, Size tokens,
                            Size cols, Size r, bool bf16) {
  const Layer layers[GROUP_LAYERS] = {first, second, third};
  if (count == 0 || count > GROUP_LAYERS) return unsupported("expected 1 to 3 layers");
  if (!hasRankOfItsOwn(layers, count, r)) return unsupported(RANK_OF_NOTHING);
  QD_NEED(x, times(tokens, cols));
  QD_NEED_DENSE_IF_GIVEN(xAdapter, times(tokens, cols));
  QD_NEED(scratch, forwardFloats(tokens, cols, r, count, threads.count()));
  if (const Status s = checkParts(rankParts, tokens, r); s.code != Status::OK) return s;
  const Rows plain = rowMajor(x, cols, tokens, bf16);
  const Rows adapterInput = isGiven(xAdapter) ? rowMajor(xAdapter, cols, tokens, bf16) : plain;
  Stage stages[2]{};
  Stage &inner = stages[0], &outer = stages[1];  // u, then y
  Size words = 0;
  for (Size i = 0; i < count; i++) {
    const Layer& layer = layers[i];
    const Size rows = layer.base.rows;
    if (const Status s = checkBase(layer.base, cols); s.code != Status::OK) return s;
    QD_NEED_IF_GIVEN(layer.bias, rows);
    QD_NEED_DENSE_IF_GIVEN(layer.y, times(tokens, rows));
    const Term w{plain, baseColumns(layer.base, cols, bf16, true), cols};
    if (i == 0) words = wordsOf(cols, w.pairs());
    Job* const y = isGiven(layer.y)
                       ? &outer.make({tokens, rows, toDense(layer.y, rows, false, layer.bias.data)})
                       : nullptr;
    if (y) y->add({w, 0});
    if (!layer.a.data) continue;
    QD_NEED(layer.a, times(r, cols));
    QD_NEED(layer.b, times(r, rows));
    QD_NEED(layer.u, times(tokens, r));
    inner.make({tokens, r, toFloats(layer.u.data, r)})
        .add({{adapterInput, rowsAsColumns(layer.a.data, nullptr, cols, bf16), cols}, 0});
    const Placed add{{rowMajor(layer.u.data, r, tokens, bf16, layer.scale),
                      columnsOf(layer.b.data, nullptr, rows, bf16), r},
                     words};
    if (rankParts.count()) outer.change({layer.u.data, limitToRank, &rankParts});
    if (!y) continue;
    outer.pack(add);
    y->add(add);
    words += wordsOf(r, add.term.pairs());
  }
  const bool isAdapted = inner.jobCount > 0;
  if (isAdapted) inner.pack(inner.jobs[0].terms[0]);
  const bool makesY = outer.jobCount > 0;
  if (makesY && (!isAdapted || isGiven(xAdapter))) outer.pack(outer.jobs[0].terms[0]);
  const int parts = partsForProduct(threads, tokens, makesY ? rowsOf(layers, count) : count * r, cols);
  threads.run(parts, [&](int part) {
    multiplyStages(threads, parts, part, isAdapted ? stages : &outer, isAdapted ? 2 : 1, tokens, words,
                   scratch.data);
  });
  return ok();
}

// g of each layer (and u, where parts of the rows train other rows of A and B), then whatever the larger
// stage of the backward needs.
Size gradientFloats(Size tokens, Size r, Size layers) { return roundUp(tokens * r * layers, 16); }
Size backwardFloats(Size tokens, Size rows, Size r, Size layers, bool cuts, int threads) {
  return (cuts ? 2 : 1) * gradientFloats(tokens, r, layers) +
         larger(productScratch(tokens, rows + layers * r, threads),
                productScratch(r, 2 * layers * tokens, threads));
}

double adaptedBackwardScratch(Threads& threads, Size tokens, Size rows, Size r, Size layers, bool cuts) {
  return static_cast<double>(backwardFloats(tokens, rows, r, layers, cuts, threads.count()));
}

Status adaptedLinearBackward(Threads& threads, Dense x, OptionalDense xAdapter, BackwardLayer first,
                             BackwardLayer second, BackwardLayer third, RankParts rankParts,
                             OptionalOutDense dx, OptionalOutDense dxAdapter, Out<float> scratch, Size count,
                             Size tokens, Size cols, Size r, Size trainFrom, bool bf16, bool accumulate) {
  const BackwardLayer layers[GROUP_LAYERS] = {first, second, third};
  if (count == 0 || count > GROUP_LAYERS) return unsupported("expected 1 to 3 layers");
  if (!hasRankOfItsOwn(layers, count, r)) return unsupported(RANK_OF_NOTHING);
  if (trainFrom > r) return unsupported("expected trainFrom within the rank");
  const Size rows = rowsOf(layers, count);
  const Size trained = r - trainFrom;
  QD_NEED(x, times(tokens, cols));
  QD_NEED_DENSE_IF_GIVEN(xAdapter, times(tokens, cols));
  QD_NEED_DENSE_IF_GIVEN(dx, times(tokens, cols));
  QD_NEED_DENSE_IF_GIVEN(dxAdapter, times(tokens, cols));
  if (const Status s = checkParts(rankParts, tokens, r); s.code != Status::OK) return s;
  const bool cuts = cutsGradients(rankParts, trainFrom);
  QD_NEED(scratch, backwardFloats(tokens, rows, r, count, cuts, threads.count()));
  // g: [tokens, r] per layer, without the scale
  float *g = scratch.data, *work = scratch.data + (cuts ? 2 : 1) * gradientFloats(tokens, r, count);
  const Dense& adapterInput = isGiven(xAdapter) ? xAdapter : x;
  const Columns input = columnsOf(adapterInput.f32, adapterInput.bf16, cols, bf16);
  Stage inner{}, outer{}, gradients{};
  Size words = 0, gradientWords = 0;
  Job toInput{{tokens, cols, toDense(dx, cols, accumulate)}, 0, {}},
      toAdapterInput{{tokens, cols, toDense(dxAdapter, cols)}, 0, {}};
  const auto addGradient = [&](const OptionalOut<float>& to, Size width, const Placed& t) {
    if (!to.data) return;
    gradients.pack(t);
    gradients.make({trained, width, toFloats(to.data, width, true)}).add(t);
    gradientWords += wordsOf(tokens, t.term.pairs());
  };
  for (Size i = 0; i < count; i++, g += tokens * r) {
    const BackwardLayer& layer = layers[i];
    const Size height = layer.base.rows;
    if (const Status s = checkBase(layer.base, cols); s.code != Status::OK) return s;
    QD_NEED(layer.dy, times(tokens, height));
    const Rows dy = rowMajor(layer.dy, height, tokens, bf16);
    const Placed w{{dy, baseColumns(layer.base, cols, bf16, false), height}, words};
    inner.pack(w);
    toInput.add(w);
    words += wordsOf(height, w.term.pairs());
    if (!layer.a.data) continue;
    QD_NEED(layer.a, times(r, cols));
    QD_NEED(layer.b, times(r, height));
    QD_NEED(layer.u, times(tokens, r));
    QD_NEED_IF_GIVEN(layer.da, times(trained, cols));
    QD_NEED_IF_GIVEN(layer.db, times(trained, height));
    const bool makesDx = isGiven(dx) || isGiven(dxAdapter);
    const bool makesG = makesDx || layer.da.data;
    if (makesG)
      inner.make({tokens, r, toFloats(g, r)})
          .add({{dy, rowsAsColumns(layer.b.data, nullptr, height, bf16), height}, w.before});
    const Placed add{
        {rowMajor(g, r, tokens, bf16, layer.scale), columnsOf(layer.a.data, nullptr, cols, bf16), r}, words};
    if (makesG && rankParts.count()) outer.change({g, limitToRank, &rankParts});
    // g·A belongs to dx where x itself went into the adapter
    (isGiven(xAdapter) ? toAdapterInput : toInput).add(add);
    if (makesDx) outer.pack(add);
    words += wordsOf(r, add.term.pairs());
    addGradient(layer.da, cols,
                {{columnMajor(g + trainFrom, r, trained, bf16, layer.scale), input, tokens}, gradientWords});
    const float* u = cuts ? scratch.data + gradientFloats(tokens, r, count) + i * tokens * r : layer.u.data;
    addGradient(layer.db, height,
                {{columnMajor(u + trainFrom, r, trained, bf16, layer.scale),
                  columnsOf(layer.dy.f32, layer.dy.bf16, height, bf16), tokens},
                 gradientWords});
  }
  if (isGiven(dx)) outer.jobs[outer.jobCount++] = toInput;
  if (isGiven(dxAdapter)) outer.jobs[outer.jobCount++] = toAdapterInput;
  const Stage stages[] = {inner, outer};
  const int parts = partsForProduct(threads, tokens, cols, rows);
  threads.run(parts, [&](int part) {
    multiplyStages(threads, parts, part, stages, 2, tokens, words, work);
    threads.barrier();
    if (cuts) {
      const Range own = shareOf(tokens, parts, part);
      for (Size i = 0; i < count; i++) {
        if (!layers[i].a.data) continue;
        float* const ofLayer = scratch.data + i * tokens * r;
        copyTrained(rankParts, ofLayer, ofLayer, own);
        copyTrained(rankParts, layers[i].u.data, ofLayer + gradientFloats(tokens, r, count), own);
      }
      threads.barrier();
    }
    multiplyStages(threads, parts, part, &gradients, 1, trained, gradientWords, work);
  });
  return ok();
}

}  // namespace
QD_EXPORT(adaptedForwardScratch)
QD_EXPORT(adaptedLinearForward)
QD_EXPORT(adaptedBackwardScratch)
QD_EXPORT(adaptedLinearBackward)
}  // namespace qdylora::QD_LEVEL
