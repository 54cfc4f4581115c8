#pragma once
#include "blocking.h"
#include "pack-columns.h"
#include "pack-rows.h"
#include "tile.h"

// The blocked product. Every thread packs its share of A's stripes (one barrier), then owns a rectangle of C: it packs groups of B's panels for itself
// and runs them against its stripes. Sums run over the depth in order, block by block, so no result depends on threads, row blocks or other rows.
namespace qdylora::QD_LEVEL {

// One term of C = Σ A·B. Several terms (a base weight, then an adapter) are one longer depth: C is written once more per term, not per product.
template <class A, class B>
struct Term { A a; B b; Size depth; };
template <class A, class B> QD_INLINE Term<A, B> term(const A& a, const B& b, Size depth) { return {a, b, depth}; }

struct Destination {
  float* data;
  Size stride;
  bool add;           // C += instead of C =
  const float* bias;  // per column, or nullptr; not together with `add`
};

// Below this many operations per thread, waking it costs more than it saves (Zen 3, 2026).
constexpr double PRODUCT_GRAIN = 4e5;

struct RowBlock { Size begin, rows, tiles; };

template <class T>
QD_INLINE void packStripes(const T& t, const RowBlock& block, Range tiles, float* packed) {
  const Size step = depthBlock(t.depth);
  for (Size k = 0; k < t.depth; k += step) {
    const Size depth = smaller(step, t.depth - k);
    for (Size i = tiles.begin; i < tiles.end; i++) {
      const Range rows = tileRows(block.rows, block.tiles, i);
      t.a.pack(block.begin + rows.begin, rows.end - rows.begin, k, depth, packed + k * block.rows + rows.begin * depth);
    }
  }
}

// All of one term into the columns [column, column + columns) of C, for this thread's tiles.
template <class T>
QD_INLINE void multiplyGroup(const T& t, const RowBlock& block, Range tiles, Size column, Size columns, const float* packed, float* panels, const Destination& to, bool first) {
  const Size step = depthBlock(t.depth);
  for (Size k = 0; k < t.depth; k += step) {
    const Size depth = smaller(step, t.depth - k);
    t.b.pack(column, columns, k, depth, panels);
    const Start start = k > 0 || !first || to.add ? Start::add : to.bias ? Start::bias : Start::overwrite;
    for (Size from = tiles.begin; from < tiles.end; from += GROUP_STRIPES) {
      const Size end = smaller(from + GROUP_STRIPES, tiles.end);
      for (Size p = 0; p < columns; p += PANEL) {
        for (Size i = from; i < end; i++) {
          const Range rows = tileRows(block.rows, block.tiles, i);
          multiplyTileOf(rows.end - rows.begin, {packed + k * block.rows + rows.begin * depth, panels + p * depth, depth, to.data + (block.begin + rows.begin) * to.stride + column + p,
                                                 to.stride, smaller(PANEL, columns - p), start, to.bias ? to.bias + column + p : nullptr});
        }
      }
    }
  }
}

// What a product without depth leaves: C = 0, C = bias, or C as it was.
QD_INLINE void multiplyNothing(Size m, Size n, const Destination& to) {
  for (Size i = 0; i < m && !to.add; i++) {
    for (Size j = 0; j < n; j++) to.data[i * to.stride + j] = to.bias ? to.bias[j] : 0.f;
  }
}

// One thread's work on a product that `parts` threads share; to be called by all of them inside threads.run.
template <class... Terms>
QD_INLINE void multiplyPart(Threads& threads, int parts, int part, Size m, Size n, const Destination& to, float* scratch, const Terms&... terms) {
  const Size depth = (terms.depth + ...), most = rowBlock(m, depth), panelCount = divideUp(n, PANEL);
  float* panels = scratch + packedRowsFloats(m, depth) + GROUP_FLOATS * static_cast<Size>(part);
  for (Size begin = 0; begin < m; begin += most) {
    const Size rows = smaller(most, m - begin);
    const RowBlock block{begin, rows, divideUp(rows, TILE_ROWS)};
    const Grid grid = chooseGrid(parts, block.tiles, panelCount);
    float* packed = scratch;
    ((packStripes(terms, block, shareOf(block.tiles, parts, part), packed), packed += terms.depth * rows), ...);
    if (grid.columns > 1) threads.barrier();
    const Range tiles = shareOf(block.tiles, grid.rows, part / grid.columns), mine = shareOf(panelCount, grid.columns, part % grid.columns);
    for (Size p = mine.begin; p < mine.end; p += GROUP_PANELS) {
      const Size column = p * PANEL, columns = smaller(smaller(p + GROUP_PANELS, mine.end) * PANEL, n) - column;
      const float* from = scratch;
      bool first = true;
      ((multiplyGroup(terms, block, tiles, column, columns, from, panels, to, first), from += terms.depth * rows, first = first && terms.depth == 0), ...);
    }
    if (begin + rows < m) threads.barrier();  // the next row block is packed over this one
  }
}

// The whole product. `scratch` holds productScratch(m, Σ depth, threads.count()) floats.
template <class... Terms>
QD_INLINE void multiply(Threads& threads, Size m, Size n, const Destination& to, float* scratch, const Terms&... terms) {
  const Size depth = (terms.depth + ...);
  if (m == 0 || n == 0) return;
  if (depth == 0) return multiplyNothing(m, n, to);
  const int parts = threads.partsFor(2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(depth), PRODUCT_GRAIN);
  threads.run(parts, [&](int part) { multiplyPart(threads, parts, part, m, n, to, scratch, terms...); });
}

}  // namespace qdylora::QD_LEVEL
