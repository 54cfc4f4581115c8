#pragma once
#include "blocking.h"
#include "columns.h"
#include "pack-rows.h"
#include "tile.h"

// The blocked product. Every thread packs its share of A's stripes (one barrier), then owns a rectangle of C: it packs groups of B's panels for itself
// and runs them against its stripes. Sums run over the depth in order, block by block, so no result depends on threads, row blocks or other rows.
namespace qdylora::QD_LEVEL {

// One term of C = Σ A·B. Several terms (a base weight, then an adapter) are one longer depth: C is made in one go.
struct Term {
  Rows a;
  Columns b;
  Size depth;
  // Both operands are bf16 numbers, and the level multiplies those in pairs.
  QD_INLINE bool pairs() const { return BF16_PAIRS && a.bf16 && (b.round || b.bf16); }
  QD_INLINE Form form() const { return pairs() ? Form::pairs : b.single(); }
};

struct Destination {
  float* data;
  Size stride;
  bool add;           // C += instead of C =
  const float* bias;  // per column, or nullptr; not together with `add`
};

// A product's sizes and where its result goes.
struct Product { Size m, n; Destination to; };

// Below this many operations per thread, waking it costs more than it saves (Zen 3, 2026).
constexpr double PRODUCT_GRAIN = 4e5;
QD_INLINE int partsForProduct(const Threads& threads, Size m, Size n, Size depth) {
  return threads.partsFor(2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(depth), PRODUCT_GRAIN);
}

// The whole product. `scratch` holds productScratch(m, Σ depth, threads.count()) floats.
void multiply(Threads& threads, const Product& product, float* scratch, const Term& term);

// One thread's work on it; to be called by all `parts` inside threads.run. Ends without a barrier.
void multiplyPart(Threads& threads, int parts, int part, const Product& product, float* scratch, const Term& term);

// C (+)= base + outer, where outer's left operand is itself a product, `inner` of `innerTerm`, with the same rows: made first, row block by row block.
// `shared`: innerTerm's left operand is base's, so the packed stripes serve both; else the caller has made it. `scratch`: productScratch(m, base + outer depth, threads).
struct Inner { Product product; Term term; bool shared; };
void multiplyAdaptedPart(Threads& threads, int parts, int part, const Product& product, float* scratch, const Term& base, const Inner& inner, const Term& outer);

}  // namespace qdylora::QD_LEVEL
