// Computes: frozen layers W of one input (dense or 4-bit), each with or without a nested adapter. Forward: u
//   = xa·Aᵀ, y = x·Wᵀ + bias + scale·u·B. Backward: g = dy·Bᵀ, dx (+)= Σ dy·W + scale·g·A, dA += scale·gᵀ·xa,
//   dB += scale·uᵀ·dy.
// Owners: blocked products in stages (native/gemm/product.h). The adapter is a longer depth, and in dx so are
//   the other layers: y and dx are written once. x, and each dy, is packed once for all products.
// Cost: 2·tokens·Σ(rows·cols + r·(rows + cols)) operations forward. An adapter costs in proportion to r;
//   nothing past r is touched.
// Assumes: contiguous row-major arrays, A: [r, cols], B: [r, rows]; lengths are checked below. In bf16 both
//   operands of every product are rounded, and multiplied in pairs where the level has pairs.
// Dropped: two more products that add to y: they read and write y again, 4 % of a 576x576 layer (Zen 3,
//   2026).
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
template <>
struct FieldNames<Layer> {
  static constexpr const char* of[] = {
      "weight",    "codes", "levels",    "absmax", "absmaxCodes",  "nestedAbsmax",
      "nestedMap", "rows",  "blockSize", "tiled",  "nestedOffset", "bias",
      "a",         "b",     "y",         "u",      "scale",
  };
};

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
template <>
struct FieldNames<BackwardLayer> {
  static constexpr const char* of[] = {
      "weight",    "codes", "levels",    "absmax", "absmaxCodes",  "nestedAbsmax",
      "nestedMap", "rows",  "blockSize", "tiled",  "nestedOffset", "dy",
      "u",         "a",     "b",         "da",     "db",           "scale",
  };
};

// Rows at different ranks. Part i ends at row at[3·i], is at rank at[3·i + 1], and gives gradients to the
// rows of A and B from at[3·i + 2] on. Its scale is multiplied by factors[2·i], its gradients for A and B by
// factors[2·i + 1].
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
  if (parts.r != r) return unsupported("the parts must have the rank of the layers");
  QD_NEED(parts.at, 3 * parts.count());
  Size before = 0;
  for (Size i = 0; i < parts.count(); i++) {
    const std::int32_t* p = parts.at.data + 3 * i;
    if (p[0] < 0 || static_cast<Size>(p[0]) < before || p[2] < 0 || p[1] < p[2] ||
        static_cast<Size>(p[1]) > r)
      return unsupported("the parts must rise, with ranks within the adapter");
    before = static_cast<Size>(p[0]);
  }
  return before == tokens ? ok() : unsupported("the parts must end with the last token");
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
using Layers = List<L, GROUP_LAYERS>;

template <class L>
Size rowsOf(const Layers<L>& layers) {
  Size rows = 0;
  for (Size i = 0; i < layers.count; i++) rows += layers[i].base.rows;
  return rows;
}

// `r` counts in the size of the scratch, and only the arrays of an adapter bound it.
template <class L>
Status checkLayers(const Layers<L>& layers, Size r) {
  if (layers.count == 0) return unsupported("a group has at least one layer");
  for (Size i = 0; i < layers.count; i++)
    if (layers[i].a.data) return ok();
  return r == 0 ? ok() : unsupported("the rank of layers without adapters must be 0");
}

Size forwardFloats(Size tokens, Size cols, Size r, Size layers, int threads) {
  return productScratch(tokens, cols + layers * r, threads);
}

double adaptedForwardScratch(Threads& threads, Size tokens, Size cols, Size r, Size layers) {
  return static_cast<double>(forwardFloats(tokens, cols, r, layers, threads.count()));
}

// What the layers of a call share.
struct Shared {
  Size tokens, cols;
  Size r;  // the rank of the layers that have an adapter
  bool bf16;
  const RankParts& rankParts;
};

// The stages of a forward call.
struct ForwardStages {
  Stage stages[2]{};  // u of every layer with an adapter, then y
  Size words = 0;     // of the depth of everything that is packed together
  Stage& u() { return stages[0]; }
  Stage& y() { return stages[1]; }
};

// Adds the products of one layer. `plain`: x; `adapterInput`: what goes into the adapter.
Status addForward(ForwardStages& stages, const Layer& layer, const Shared& shared, const Rows& plain,
                  const Rows& adapterInput) {
  const Size tokens = shared.tokens;
  const Size cols = shared.cols;
  const Size r = shared.r;
  const Size rows = layer.base.rows;
  if (const Status s = checkBase(layer.base, cols); s.code != Status::OK) return s;
  QD_NEED_IF_GIVEN(layer.bias, rows);
  QD_NEED_DENSE_IF_GIVEN(layer.y, times(tokens, rows));
  const Term w{plain, baseColumns(layer.base, cols, shared.bf16, true), cols};
  if (stages.words == 0) stages.words = wordsOf(cols, w.pairs());
  Job* y = nullptr;
  if (isGiven(layer.y)) {
    y = &stages.y().make({tokens, rows, toDense(layer.y, rows, false, layer.bias.data)});
    y->add({w, 0});
  }
  if (!layer.a.data) return ok();
  QD_NEED(layer.a, times(r, cols));
  QD_NEED(layer.b, times(r, rows));
  QD_NEED(layer.u, times(tokens, r));
  const Columns a = rowsAsColumns(layer.a.data, nullptr, cols, shared.bf16);
  stages.u().make({tokens, r, toFloats(layer.u.data, r)}).add({{adapterInput, a, cols}, 0});
  if (shared.rankParts.count()) stages.y().change({layer.u.data, limitToRank, &shared.rankParts});
  if (!y) return ok();
  const Rows u = rowMajor(layer.u.data, r, tokens, shared.bf16, layer.scale);
  const Placed adapter{{u, columnsOf(layer.b.data, nullptr, rows, shared.bf16), r}, stages.words};
  stages.y().pack(adapter);
  y->add(adapter);
  stages.words += wordsOf(r, adapter.term.pairs());
  return ok();
}

// `r`: the rank of the layers that have an adapter.
Status adaptedLinearForward(Threads& threads, Dense x, OptionalDense xAdapter, Layers<Layer> layers,
                            RankParts rankParts, Out<float> scratch, Size tokens, Size cols, Size r,
                            bool bf16) {
  const Size count = layers.count;
  if (const Status s = checkLayers(layers, r); s.code != Status::OK) return s;
  QD_NEED(x, times(tokens, cols));
  QD_NEED_DENSE_IF_GIVEN(xAdapter, times(tokens, cols));
  QD_NEED(scratch, forwardFloats(tokens, cols, r, count, threads.count()));
  if (const Status s = checkParts(rankParts, tokens, r); s.code != Status::OK) return s;
  const Rows plain = rowMajor(x, cols, tokens, bf16);
  const Rows adapterInput = isGiven(xAdapter) ? rowMajor(xAdapter, cols, tokens, bf16) : plain;
  ForwardStages all;
  for (Size i = 0; i < count; i++) {
    const Shared shared{tokens, cols, r, bf16, rankParts};
    const Status s = addForward(all, layers[i], shared, plain, adapterInput);
    if (s.code != Status::OK) return s;
  }
  const bool isAdapted = all.u().jobCount > 0;
  const bool makesY = all.y().jobCount > 0;
  if (isAdapted) all.u().pack(all.u().jobs[0].terms[0]);
  if (makesY && (!isAdapted || isGiven(xAdapter))) all.y().pack(all.y().jobs[0].terms[0]);
  const Stage* const from = isAdapted ? &all.u() : &all.y();
  const int stageCount = isAdapted ? 2 : 1;
  const int parts = partsForProduct(threads, tokens, makesY ? rowsOf(layers) : count * r, cols);
  threads.run(parts, [&](int part) {
    multiplyStages(threads, parts, part, from, stageCount, tokens, all.words, scratch.data);
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

// What the layers of a backward call share, beside `Shared`.
struct BackwardInput {
  const Shared& shared;
  Columns adapterInput;  // x, or what went into the adapter instead
  Size trainFrom;        // rows of A and B from here on get gradients
  bool makesDx;
  bool splits;  // the adapter had an input of its own: its gradient goes to dxAdapter
};

// The stages of a backward call.
struct BackwardStages {
  Stage g{};               // g = dy·Bᵀ of every layer
  Stage dx{};              // then dx
  Stage gradients{};       // then dA and dB
  Size words = 0;          // of the depth of everything that `g` and `dx` pack
  Size gradientWords = 0;  // of what `gradients` packs
  Job toInput{};           // dx: a sum over all layers
  Job toAdapterInput{};    // dxAdapter
};

// Adds the product that adds t to a gradient of A or B: [trained, width].
void addGradient(BackwardStages& stages, const OptionalOut<float>& to, Size trained, Size width, Term t) {
  if (!to.data) return;
  const Placed placed{t, stages.gradientWords};
  stages.gradients.pack(placed);
  stages.gradients.make({trained, width, toFloats(to.data, width, true)}).add(placed);
  stages.gradientWords += wordsOf(t.depth, t.pairs());
}

// Adds the products of one layer. `g`: [tokens, r], without the scale. `u`: as it counts for dB.
Status addBackward(BackwardStages& stages, const BackwardLayer& layer, const BackwardInput& input, float* g,
                   const float* u) {
  const Shared& shared = input.shared;
  const Size tokens = shared.tokens;
  const Size cols = shared.cols;
  const Size r = shared.r;
  const Size trained = r - input.trainFrom;
  const Size height = layer.base.rows;
  const bool bf16 = shared.bf16;
  if (const Status s = checkBase(layer.base, cols); s.code != Status::OK) return s;
  QD_NEED(layer.dy, times(tokens, height));
  const Rows dy = rowMajor(layer.dy, height, tokens, bf16);
  const Placed w{{dy, baseColumns(layer.base, cols, bf16, false), height}, stages.words};
  stages.g.pack(w);
  stages.toInput.add(w);
  stages.words += wordsOf(height, w.term.pairs());
  if (!layer.a.data) return ok();
  QD_NEED(layer.a, times(r, cols));
  QD_NEED(layer.b, times(r, height));
  QD_NEED(layer.u, times(tokens, r));
  QD_NEED_IF_GIVEN(layer.da, times(trained, cols));
  QD_NEED_IF_GIVEN(layer.db, times(trained, height));
  if (input.makesDx || layer.da.data) {
    const Columns b = rowsAsColumns(layer.b.data, nullptr, height, bf16);
    stages.g.make({tokens, r, toFloats(g, r)}).add({{dy, b, height}, w.before});
    if (shared.rankParts.count()) stages.dx.change({g, limitToRank, &shared.rankParts});
  }
  const Columns a = columnsOf(layer.a.data, nullptr, cols, bf16);
  const Placed adapter{{rowMajor(g, r, tokens, bf16, layer.scale), a, r}, stages.words};
  // g·A belongs to dx where x itself went into the adapter
  (input.splits ? stages.toAdapterInput : stages.toInput).add(adapter);
  if (input.makesDx) stages.dx.pack(adapter);
  stages.words += wordsOf(r, adapter.term.pairs());
  const Rows gTransposed = columnMajor(g + input.trainFrom, r, trained, bf16, layer.scale);
  addGradient(stages, layer.da, trained, cols, {gTransposed, input.adapterInput, tokens});
  const Rows uTransposed = columnMajor(u + input.trainFrom, r, trained, bf16, layer.scale);
  const Columns dyColumns = columnsOf(layer.dy.f32, layer.dy.bf16, height, bf16);
  addGradient(stages, layer.db, trained, height, {uTransposed, dyColumns, tokens});
  return ok();
}

Status adaptedLinearBackward(Threads& threads, Dense x, OptionalDense xAdapter, Layers<BackwardLayer> layers,
                             RankParts rankParts, OptionalOutDense dx, OptionalOutDense dxAdapter,
                             Out<float> scratch, Size tokens, Size cols, Size r, Size trainFrom, bool bf16,
                             bool accumulate) {
  const Size count = layers.count;
  if (const Status s = checkLayers(layers, r); s.code != Status::OK) return s;
  if (trainFrom > r) return unsupported("trainFrom must be within the rank");
  const Size rows = rowsOf(layers);
  QD_NEED(x, times(tokens, cols));
  QD_NEED_DENSE_IF_GIVEN(xAdapter, times(tokens, cols));
  QD_NEED_DENSE_IF_GIVEN(dx, times(tokens, cols));
  QD_NEED_DENSE_IF_GIVEN(dxAdapter, times(tokens, cols));
  if (const Status s = checkParts(rankParts, tokens, r); s.code != Status::OK) return s;
  const bool cuts = cutsGradients(rankParts, trainFrom);
  QD_NEED(scratch, backwardFloats(tokens, rows, r, count, cuts, threads.count()));
  // g of every layer; where parts cut gradients, u of every layer as it counts; then the scratch of products
  float* const g = scratch.data;
  float* const trainedU = g + gradientFloats(tokens, r, count);
  float* const work = scratch.data + (cuts ? 2 : 1) * gradientFloats(tokens, r, count);

  const Shared shared{tokens, cols, r, bf16, rankParts};
  const Dense& adapterInput = isGiven(xAdapter) ? xAdapter : x;
  const BackwardInput input{shared, columnsOf(adapterInput.f32, adapterInput.bf16, cols, bf16), trainFrom,
                            isGiven(dx) || isGiven(dxAdapter), isGiven(xAdapter)};
  BackwardStages all;
  all.toInput.product = {tokens, cols, toDense(dx, cols, accumulate)};
  all.toAdapterInput.product = {tokens, cols, toDense(dxAdapter, cols)};
  for (Size i = 0; i < count; i++) {
    const Size at = i * tokens * r;
    const float* const u = cuts ? trainedU + at : layers[i].u.data;
    const Status s = addBackward(all, layers[i], input, g + at, u);
    if (s.code != Status::OK) return s;
  }
  if (isGiven(dx)) all.dx.jobs[all.dx.jobCount++] = all.toInput;
  if (isGiven(dxAdapter)) all.dx.jobs[all.dx.jobCount++] = all.toAdapterInput;
  const Stage stages[] = {all.g, all.dx};
  const int parts = partsForProduct(threads, tokens, cols, rows);
  threads.run(parts, [&](int part) {
    multiplyStages(threads, parts, part, stages, 2, tokens, all.words, work);
    threads.barrier();
    if (cuts) {
      const Range share = shareOf(tokens, parts, part);
      for (Size i = 0; i < count; i++) {
        if (!layers[i].a.data) continue;
        float* const gOfLayer = g + i * tokens * r;
        copyTrained(rankParts, gOfLayer, gOfLayer, share);
        copyTrained(rankParts, layers[i].u.data, trainedU + i * tokens * r, share);
      }
      threads.barrier();
    }
    multiplyStages(threads, parts, part, &all.gradients, 1, r - trainFrom, all.gradientWords, work);
  });
  return ok();
}

}  // namespace
QD_EXPORT(adaptedForwardScratch)
QD_EXPORT(adaptedLinearForward)
QD_EXPORT(adaptedBackwardScratch)
QD_EXPORT(adaptedLinearBackward)
}  // namespace qdylora::QD_LEVEL
