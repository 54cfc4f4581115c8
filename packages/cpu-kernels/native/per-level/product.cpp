// C (+)= Σ A·B + bias, blocked for caches and shared among threads; see gemm/product.h for the picture.
// A thread owns a rectangle of C and one group of panels; stripes of A are packed together and read by all.
// 2·m·n·depth operations. Reads A and B once per row block, writes C once per depth block of 384.
// Assumes arrays that do not overlap; kernels check lengths. One barrier per row block (1,024 rows), three with adapters.
// Tried and dropped (Zen 3, 2026): splitting by columns only (a narrow C, as of an adapter, starves threads); depth as the outer loop (C leaves the cache).
#include "../gemm/whole-depth.h"

namespace qdylora::QD_LEVEL {

namespace {

struct RowBlock { Size begin, rows, tiles; };

RowBlock rowBlockAt(Size m, Size words, Size begin) {
  const Size rows = smaller(rowBlock(m, words), m - begin);
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

// A thread's tiles of a row block, and its panels of one product.
struct Rectangle { Range tiles, panels; };

// One thread's part of one product in one row block whose stripes are packed, term after term.
void multiplyJob(const Threads& threads, const Job& job, const RowBlock& block, const Rectangle& mine, const float* packed, float* panels) {
  const Product& product = job.product;
  if (mine.tiles.begin == mine.tiles.end || mine.panels.begin == mine.panels.end) return;
  // The weight of a first term of few rows comes from memory as it stands, for all columns of the thread; the other terms are added.
  const bool isDone = readsWhole(threads, job.terms[0].term, block.rows);
  if (isDone) {
    const Term& t = job.terms[0].term;
    const Size column = mine.panels.begin * PANEL, columns = smaller(mine.panels.end * PANEL, product.n) - column;
    (t.b.dense() ? multiplyDenseRows : multiplyTiledRows)(t, {block.begin, block.rows, column, columns, product.to, product.to.add, panels});
  }
  for (Size p = mine.panels.begin; p < mine.panels.end; p += GROUP_PANELS) {
    const Size column = p * PANEL, columns = smaller(smaller(p + GROUP_PANELS, mine.panels.end) * PANEL, product.n) - column;
    bool first = !isDone;
    for (int i = isDone ? 1 : 0; i < job.count; i++) {
      const Term& t = job.terms[i].term;
      multiplyGroup(t, block, mine.tiles, column, columns, packed + job.terms[i].before * block.rows, panels, product.to, first);
      first = first && t.depth == 0;
    }
  }
}

// What a product without depth leaves: C = 0, C = bias, or C as it was.
void multiplyNothing(const Product& p, const RowBlock& block) {
  for (Size i = block.begin; i < block.begin + block.rows && !p.to.add; i++) {
    for (Size j = 0; j < p.n; j++) p.to.data[i * p.to.stride + j] = p.to.bias ? p.to.bias[j] : 0.f;
  }
}

bool isEmpty(const Job& job) {
  for (int i = 0; i < job.count; i++) if (job.terms[i].term.depth > 0) return false;
  return true;
}

void multiplyJobs(const Threads& threads, int parts, int part, const Stage& stage, const RowBlock& block, const float* packed, float* panels) {
  Size total = 0;
  for (int j = 0; j < stage.jobCount; j++) total += divideUp(stage.jobs[j].product.n, PANEL);
  const Grid grid = chooseGrid(parts, block.tiles, total);
  const Range tiles = shareOf(block.tiles, grid.rows, part / grid.columns), mine = shareOf(total, grid.columns, part % grid.columns);
  for (Size j = 0, begin = 0; j < static_cast<Size>(stage.jobCount); j++) {
    const Job& job = stage.jobs[j];
    const Size end = begin + divideUp(job.product.n, PANEL), from = larger(mine.begin, begin), to = smaller(mine.end, end);
    if (isEmpty(job)) { if (part == 0) multiplyNothing(job.product, block); }
    else if (from < to) multiplyJob(threads, job, block, {tiles, {from - begin, to - begin}}, packed, panels);
    begin = end;
  }
}

// Whether any product of this stage or a later one reads the stripes that stand at `before`.
bool areRead(const Threads& threads, const Stage* stages, int count, Size before, Size rows) {
  for (int s = 0; s < count; s++) {
    for (int j = 0; j < stages[s].jobCount; j++) {
      const Job& job = stages[s].jobs[j];
      for (int i = 0; i < job.count; i++) if (job.terms[i].before == before && (i > 0 || !readsWhole(threads, job.terms[0].term, rows))) return true;
    }
  }
  return false;
}

}  // namespace

void multiplyStages(Threads& threads, int parts, int part, const Stage* stages, int count, Size m, Size words, float* scratch) {
  float* panels = scratch + packedRowsFloats(m, words) + GROUP_FLOATS * static_cast<Size>(part);
  for (Size begin = 0; begin < m;) {
    const RowBlock block = rowBlockAt(m, words, begin);
    const Range tiles = shareOf(block.tiles, parts, part);
    begin += block.rows;
    for (int s = 0; s < count; s++) {
      const Stage& stage = stages[s];
      bool hasPacked = false;
      for (int i = 0; i < stage.packCount; i++) {
        const Placed& pack = stage.packs[i];
        if (!areRead(threads, stages + s, count - s, pack.before, block.rows)) continue;
        packStripes(pack.term, block, tiles, scratch + pack.before * block.rows);
        hasPacked = true;
      }
      if (hasPacked) threads.barrier();
      multiplyJobs(threads, parts, part, stage, block, scratch, panels);
      if (s + 1 < count || begin < m) threads.barrier();  // the next stage reads these products; the next row block is packed over this one
    }
  }
}

void multiply(Threads& threads, const Product& product, float* scratch, const Term& term) {
  Stage stage{};
  stage.pack({term, 0});
  stage.make(product).add({term, 0});
  const int parts = partsForProduct(threads, product.m, product.n, term.depth);
  threads.run(parts, [&](int part) { multiplyStages(threads, parts, part, &stage, 1, product.m, wordsOf(term.depth, term.pairs()), scratch); });
}

}  // namespace qdylora::QD_LEVEL
