#pragma once
#include "blocking.h"
#include "columns.h"
#include "pack-rows.h"
#include "tile.h"

// The blocked product. Every thread packs its share of A's stripes (one barrier), then owns a rectangle of C:
// it packs groups of B's panels for itself and runs them against its stripes. Sums run over the depth in
// order, block by block, so no result depends on threads, row blocks or other rows.
namespace qdylora::QD_LEVEL {

// One term of C = Σ A·B. Several terms (a base weight, then an adapter) are one longer depth: C is made in
// one go.
struct Term {
  Rows a;
  Columns b;
  Size depth;
  // Both operands are bf16 numbers, and the level multiplies those in pairs.
  QD_INLINE bool pairs() const { return BF16_PAIRS && a.bf16 && (b.round || b.bf16); }
  QD_INLINE Form form() const { return pairs() ? Form::pairs : b.single(); }
  // Whether the columns can be packed as levels and scales.
  QD_INLINE bool hasLevels() const {
    return pairs() && !fillsTiles(true) && !b.dense() && b.transposed && b.packed.tiled;
  }
  // True where rows of pairs are read in place, without packing (`rows`: of the block). Not where the rows
  // are a multiple of 2 KiB apart: they would share a few sets of the first-level cache.
  QD_INLINE bool isReadInPlace(Size rows) const {
    if (rows <= FEW_ROWS || !pairs() || fillsTiles(true) || !a.half || a.transposed) return false;
    return depth % 2 == 0 && a.stride % 2 == 0 && a.stride % 1024 != 0 &&
           reinterpret_cast<std::uintptr_t>(a.half) % sizeof(float) == 0;
  }
};

struct Destination {
  float* data;
  Size stride;
  bool add;           // C += instead of C =
  const float* bias;  // per column, or nullptr; not together with `add`
  BFloat16* half;     // C in bf16, instead of `data`: sums are float32 until they are whole, and rounded once
};
QD_INLINE Destination toFloats(float* data, Size stride, bool add = false, const float* bias = nullptr) {
  return {data, stride, add, bias, nullptr};
}
QD_INLINE Destination toDense(const OutDense& c, Size stride, bool add = false, const float* bias = nullptr) {
  return {c.f32, stride, add, bias, c.bf16};
}

// A product's sizes and where its result goes.
struct Product {
  Size m, n;       // rows and columns of C
  Destination to;  // C
};

// Below this many operations per thread, waking it costs more than it saves (Zen 3, 2026).
constexpr double PRODUCT_GRAIN = 4e5;
// Fewer rows cost as much as so many: B has to be read and decoded all the same (576² at one row, from
// memory: 25 µs on one thread, 14 on two; Granite Rapids, 2026).
constexpr Size LEAST_ROWS_OF_WORK = 3;
QD_INLINE int partsForProduct(const Threads& threads, Size m, Size n, Size depth) {
  return threads.partsFor(2.0 * static_cast<double>(larger(m, LEAST_ROWS_OF_WORK)) * static_cast<double>(n) *
                              static_cast<double>(depth),
                          PRODUCT_GRAIN);
}

// The whole product. `scratch` holds productScratch(m, Σ depth, threads.count()) floats.
void multiply(Threads& threads, const Product& product, float* scratch, const Term& term);

// A term whose left operand, packed into stripes, begins `before` words of the depth behind the first one.
struct Placed {
  Term term;
  Size before;
};

// Layers of one input that are multiplied together, at most.
constexpr int GROUP_LAYERS = 3;
static_assert(MOST_TERMS == 2 * GROUP_LAYERS, "the weight and the adapter of each layer");

// C (+)= Σ terms.
struct Job {
  Product product;
  int count;
  Placed terms[MOST_TERMS];
  QD_INLINE void add(const Placed& t) { terms[count++] = t; }
};

// Rows of a stage's results that are changed in place before the next stage reads them:
// `apply(data, begin, end)` for rows [begin, end), each row by one thread.
struct RowChange {
  float* data;
  void (*apply)(const void* context, float* data, Size begin, Size end);
  const void* context;
};

// What all threads do between two barriers: they change rows, pack left operands, meet, and make products of
// equally many rows from these and from those of earlier stages. The columns of all products are shared out
// together, so that narrow ones do not leave a thread without work.
struct Stage {
  int changeCount;     // of `changes`
  int packCount;       // of `packs`
  int jobCount;        // of `jobs`
  mutable Size taken;  // panels that threads have taken, where panels are dealt out
  RowChange changes[GROUP_LAYERS];
  Placed packs[MOST_TERMS];
  Job jobs[MOST_TERMS];
  QD_INLINE void change(const RowChange& c) { changes[changeCount++] = c; }
  QD_INLINE void pack(const Placed& t) { packs[packCount++] = t; }
  QD_INLINE Job& make(const Product& product) {
    Job& job = jobs[jobCount++];
    job.product = product;
    return job;
  }
};

// One thread's work on stages of m rows, row block by row block; to be called by all `parts` inside
// threads.run. `words`: of the depth of everything that is packed together;
// `scratch`: productScratch(m, words, threads). Ends without a barrier.
void multiplyStages(Threads& threads, int parts, int part, const Stage* stages, int count, Size m, Size words,
                    float* scratch);

}  // namespace qdylora::QD_LEVEL
