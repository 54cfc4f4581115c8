// C (+)= Σ A·B + bias, blocked for caches and shared among threads; see gemm/product.h for the picture.
// A thread owns a rectangle of C and one group of panels; stripes of A are packed together and read by all.
// 2·m·n·depth operations. Reads A and B once per row block, writes C once per depth block of 384.
// Assumes arrays that do not overlap; kernels check lengths. One barrier per row block (1,024 rows), three with an adapter.
// Tried and dropped (Zen 3, 2026): splitting by columns only (a narrow C, as of an adapter, starves threads); depth as the outer loop (C leaves the cache).
#include "../gemm/whole-depth.h"

namespace qdylora::QD_LEVEL {

namespace {

struct RowBlock { Size begin, rows, tiles; };

RowBlock rowBlockAt(Size m, Size depth, Size begin) {
  const Size rows = smaller(rowBlock(m, depth), m - begin);
  return {begin, rows, divideUp(rows, TILE_ROWS)};
}

void packStripes(const Term& t, const RowBlock& block, Range tiles, float* packed) {
  const bool pairs = t.pairs();
  const Size step = depthBlock(t.depth, pairs);
  for (Size k = 0; k < t.depth; k += step) {
    const Size depth = smaller(step, t.depth - k);
    for (Size i = tiles.begin; i < tiles.end; i++) {
      const Range rows = tileRows(block.rows, block.tiles, i);
      float* stripe = packed + wordsOf(k, pairs) * block.rows + rows.begin * wordsOf(depth, pairs);
      packStripe(t.a, pairs, block.begin + rows.begin, rows.end - rows.begin, k, depth, stripe);
    }
  }
}

// All of one term into the columns [column, column + columns) of C, for this thread's tiles. `first`: nothing has been written there yet.
void multiplyGroup(const Term& t, const RowBlock& block, Range tiles, Size column, Size columns, const float* packed, float* panels, const Destination& to, bool first) {
  if (tiles.begin == tiles.end) return;
  const bool pairs = t.pairs();
  const Size step = depthBlock(t.depth, pairs);
  for (Size k = 0; k < t.depth; k += step) {
    const Size depth = smaller(step, t.depth - k), words = wordsOf(depth, pairs);
    const Start start = k > 0 || !first || to.add ? Start::add : to.bias ? Start::bias : Start::overwrite;
    if (readsDirectly(t, block.rows)) {
      multiplyFewRows(t, {block.rows, column, columns, k, depth, packed + wordsOf(k, pairs) * block.rows, to.data + block.begin * to.stride + column, to.stride, start, to.bias ? to.bias + column : nullptr});
      continue;
    }
    (t.b.dense() ? packDensePanels : packNf4Panels)(t.b, t.form(), column, columns, k, depth, panels);
    for (Size from = tiles.begin; from < tiles.end; from += GROUP_STRIPES) {
      const Size end = smaller(from + GROUP_STRIPES, tiles.end);
      for (Size p = 0; p < columns; p += PANEL) {
        for (Size i = from; i < end; i++) {
          const Range rows = tileRows(block.rows, block.tiles, i);
          multiplyTile(rows.end - rows.begin, {packed + wordsOf(k, pairs) * block.rows + rows.begin * words, panels + p * words, words, pairs,
                                               to.data + (block.begin + rows.begin) * to.stride + column + p, to.stride, smaller(PANEL, columns - p), start, to.bias ? to.bias + column + p : nullptr});
        }
      }
    }
  }
}

// True where a term of so few rows is made over its whole depth at once, from A as it stands: its stripes are not read.
bool readsWhole(const Threads& threads, const Term& t, Size rows) { return !threads.isBatchInvariant() && (multipliesDenseRows(t, rows) || multipliesTiled(t, rows)); }

// One thread's part of one row block whose stripes are packed, term after term.
void multiplyBlock(const Threads& threads, int parts, int part, const RowBlock& block, const Product& product, const float* packed, float* panels, const Term* terms, int count) {
  const Size panelCount = divideUp(product.n, PANEL);
  const Grid grid = chooseGrid(parts, block.tiles, panelCount);
  const Range tiles = shareOf(block.tiles, grid.rows, part / grid.columns), mine = shareOf(panelCount, grid.columns, part % grid.columns);
  // The weight of a first term of few rows comes from memory as it stands, for all columns of the thread; the other terms are added.
  const bool isDone = readsWhole(threads, terms[0], block.rows);
  if (isDone && tiles.begin < tiles.end && mine.begin < mine.end) {
    const Size column = mine.begin * PANEL, columns = smaller(mine.end * PANEL, product.n) - column;
    (terms[0].b.dense() ? multiplyDenseRows : multiplyTiledRows)(terms[0], {block.begin, block.rows, column, columns, product.to, product.to.add, panels});
  }
  for (Size p = mine.begin; p < mine.end; p += GROUP_PANELS) {
    const Size column = p * PANEL, columns = smaller(smaller(p + GROUP_PANELS, mine.end) * PANEL, product.n) - column;
    const float* from = packed + (isDone ? wordsOf(terms[0].depth, terms[0].pairs()) * block.rows : 0);
    bool first = !isDone;
    for (int i = isDone ? 1 : 0; i < count; i++) {
      multiplyGroup(terms[i], block, tiles, column, columns, from, panels, product.to, first);
      from += wordsOf(terms[i].depth, terms[i].pairs()) * block.rows;
      first = first && terms[i].depth == 0;
    }
  }
}

// What a product without depth leaves: C = 0, C = bias, or C as it was.
void multiplyNothing(const Product& p) {
  for (Size i = 0; i < p.m && !p.to.add; i++) {
    for (Size j = 0; j < p.n; j++) p.to.data[i * p.to.stride + j] = p.to.bias ? p.to.bias[j] : 0.f;
  }
}

QD_INLINE float* panelsOf(float* scratch, Size m, Size depth, int part) { return scratch + packedRowsFloats(m, depth) + GROUP_FLOATS * static_cast<Size>(part); }

}  // namespace

void multiplyPart(Threads& threads, int parts, int part, const Product& product, float* scratch, const Term& term) {
  if (term.depth == 0) { if (part == 0) multiplyNothing(product); return; }
  float* panels = panelsOf(scratch, product.m, term.depth, part);
  for (Size begin = 0; begin < product.m;) {
    const RowBlock block = rowBlockAt(product.m, term.depth, begin);
    if (!readsWhole(threads, term, block.rows)) {
      packStripes(term, block, shareOf(block.tiles, parts, part), scratch);
      threads.barrier();
    }
    multiplyBlock(threads, parts, part, block, product, scratch, panels, &term, 1);
    begin += block.rows;
    if (begin < product.m) threads.barrier();  // the next row block is packed over this one
  }
}

void multiplyAdaptedPart(Threads& threads, int parts, int part, const Product& product, float* scratch, const Term& base, const Inner& inner, const Term& outer) {
  const Size depth = base.depth + outer.depth;
  if (depth == 0) { if (part == 0) multiplyNothing(product); return; }
  float* panels = panelsOf(scratch, product.m, depth, part);
  const Term terms[] = {base, outer};
  for (Size begin = 0; begin < product.m;) {
    const RowBlock block = rowBlockAt(product.m, depth, begin);
    const Range tiles = shareOf(block.tiles, parts, part);
    if (inner.shared || !readsWhole(threads, base, block.rows)) packStripes(base, block, tiles, scratch);
    if (inner.shared) {
      threads.barrier();
      multiplyBlock(threads, parts, part, block, inner.product, scratch, panels, &inner.term, 1);
      threads.barrier();
    }
    packStripes(outer, block, tiles, scratch + wordsOf(base.depth, base.pairs()) * block.rows);
    threads.barrier();
    multiplyBlock(threads, parts, part, block, product, scratch, panels, terms, 2);
    begin += block.rows;
    if (begin < product.m) threads.barrier();
  }
}

void multiply(Threads& threads, const Product& product, float* scratch, const Term& term) {
  const int parts = partsForProduct(threads, product.m, product.n, term.depth);
  threads.run(parts, [&](int part) { multiplyPart(threads, parts, part, product, scratch, term); });
}

}  // namespace qdylora::QD_LEVEL
