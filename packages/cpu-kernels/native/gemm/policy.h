#pragma once
#include "whole-depth.h"

// Every decision of the blocked product, one function each: how operands are packed, how rows, columns and
// depth are cut, which thread computes what, where results are stored.
// The loops are elsewhere: per-level/product.cpp (row blocks, stages, threads) and
// per-level/multiply-rectangle.cpp (groups of panels, blocks of the depth, tiles). Sizes that are fixed when
// the level is compiled are in blocking.h.
//
// Two decisions can change the bits of a result, since they change the order of its sum: `scalesSums` and
// `wholeTerms`. They depend on the number of rows, so a batch-invariant backend uses none of them. No other
// decision changes a result.
namespace qdylora::QD_LEVEL {

// ---- How operands are packed: once per call, for all row blocks ----

struct Packing {
  bool pairs;   // a word holds two bf16 numbers
  bool across;  // the operands change places: weights are packed as stripes, rows of A as panels
  bool scaled;  // panels of a 4-bit matrix hold levels, and sums are multiplied by the scales
};

// True where the operands change places (levels with tiles). A row of a 4-bit weight is decoded into a row of
// a tile for two thirds of what a column costs, but the sums have to be transposed. This pays while few rows
// share what is decoded, and longer where the depth takes several blocks, since sums stay as they are in
// between. Time against the usual order:
//   2048²:     32 rows −22 %, 64 −12 %, 128 −12 %, 192 −10 %, 256 −4 %, 1,024 +5 %
//   1536 deep: 192 rows −7 %, 256 −8 %, 1,024 +7 %
//   576 deep:  128 rows −5 %, 192 −1 %, 256 0 to +10 %
// (up to 64 rows Granite Rapids, else Emerald Rapids, 2026).
// The sums have the same order. A product that is added to a float32 C is not turned: C would have to be
// added after the first block of the depth, and lies the other way.
constexpr Size MOST_TILES_ACROSS = 4;
constexpr Size MOST_TILES_ACROSS_DEEP = 8;
QD_INLINE bool goesAcross(const Stage* stages, int count, Size rows) {
  const bool pairs = stages[0].packs[0].term.pairs();
  if (!fillsTiles(pairs)) return false;
  const Term& weight = stages[count - 1].jobs[0].terms[0].term;
  if (!weight.b.transposed) return false;
  const bool isDeep = wordsOf(weight.depth, pairs) > mostWords(pairs);
  if (rows > (isDeep ? MOST_TILES_ACROSS_DEEP : MOST_TILES_ACROSS) * PANEL) return false;
  for (int s = 0; s < count; s++) {
    for (int i = 0; i < stages[s].packCount; i++)
      if (stages[s].packs[i].term.a.transposed) return false;
    for (int j = 0; j < stages[s].jobCount; j++)
      if (stages[s].jobs[j].product.to.add && !stages[s].jobs[j].product.to.half) return false;
  }
  return true;
}

// True where sums are scaled instead of weights (see MOST_SCALED_ROWS).
QD_INLINE bool scalesSums(const Threads& threads, const Stage& last, Size rows) {
  if (threads.isBatchInvariant() || rows > MOST_SCALED_ROWS) return false;
  for (int j = 0; j < last.jobCount; j++)
    if (last.jobs[j].terms[0].term.hasLevels()) return true;
  return false;
}

QD_INLINE Packing choosePacking(const Threads& threads, const Stage* stages, int count, Size rows) {
  return {stages[0].packs[0].term.pairs(), goesAcross(stages, count, rows),
          scalesSums(threads, stages[count - 1], rows)};
}

// True where each thread packs all stripes for itself, so that no thread waits for another. Rows that a stage
// changes are seen by the other threads only after a barrier, so those are packed once.
QD_INLINE bool packsApart(const Stage* stages, int count, Size m, Size words, int parts) {
  for (int s = 0; s < count; s++)
    if (stages[s].changeCount > 0) return false;
  return static_cast<Size>(parts - 1) * stripesFloats(m, words) <= COPIED_FLOATS;
}

// ---- Rows: blocks that are packed together, and the stripes of a block ----

struct RowBlock {
  Size begin, rows;
  Size tiles;   // stripes that the rows are cut into
  Size height;  // rows, filled up to whole tiles
  Packing packing;
};

// The block of rows that begins at `begin`. Blocks have nearly equal lengths, and their packed rows, of
// `words` each, fit PACKED_FLOATS.
QD_INLINE RowBlock rowBlockAt(Size m, Size words, Size begin, const Packing& packing) {
  const Size fitting = PACKED_FLOATS / larger(words, Size{1}) / ROW_UNIT * ROW_UNIT;
  const Size most = larger(LEAST_ROWS, smaller(MOST_ROWS, fitting));
  const Size length = m <= most ? m : roundUp(divideUp(m, divideUp(m, most)), ROW_UNIT);
  const Size rows = smaller(length, m - begin);
  const Size rowsOfStripe = packing.scaled ? SCALED_ROWS : stripeRows(packing.pairs);
  const Size unit = rowUnit(packing.pairs, packing.across);
  return {begin, rows, divideUp(rows, rowsOfStripe), roundUp(rows, unit), packing};
}

// ---- Threads: who owns which stripes and panels of a row block ----

// True where each thread computes all columns of the rows that it packed itself. It then waits for no other
// thread between stages, and packed rows stay in its own second-level cache, but it decodes all panels. Only
// on levels with tiles, where a thread has so many rows that panels are a small part of its work (2048² with
// 2,048 rows: +25 % speed), or so few panels that they cost less than rows that come from another core.
// `panels`: of the stage with the most (Granite Rapids, 2026).
QD_INLINE bool keepsRows(int parts, Size tiles, Size panels, bool pairs) {
  const Size threads = static_cast<Size>(parts);
  if (!fillsTiles(pairs)) return false;
  return tiles >= 12 * threads || (tiles >= 2 * threads && panels <= 5 * tiles);
}

// Threads as a grid over C: each owns a share of the stripes (rows) and of the panels (columns).
struct Grid {
  int rows, columns;
};

// The grid with the least work for its busiest thread. To pack a panel costs about as much as to multiply one
// tile.
QD_INLINE Grid chooseGrid(int parts, Size tiles, Size panels) {
  Grid best{1, parts};
  Size least = ~Size{0};
  for (int rows = 1; rows <= parts; rows++) {
    if (parts % rows) continue;
    const int columns = parts / rows;
    const Size tilesEach = divideUp(tiles, static_cast<Size>(rows));
    const Size panelsEach = divideUp(panels, static_cast<Size>(columns));
    const Size cost = (tilesEach + 1) * panelsEach;
    if (cost >= least) continue;
    least = cost;
    best = {rows, columns};
  }
  return best;
}

// ---- Few rows: which terms are computed without packed rows ----

// How many of the first terms of a job are computed over their whole depth at once, straight from A and B
// (whole-depth.h). Their stripes are not read.
QD_INLINE int wholeTerms(const Threads& threads, const Job& job, Size rows) {
  if (threads.isBatchInvariant() || job.product.to.half) return 0;
  const Term& first = job.terms[0].term;
  if (!multipliesDenseRows(first, rows) && !multipliesTiled(first, rows)) return 0;
  int count = 1;
  while (count < job.count && addsDenseColumns(job.terms[count].term, rows)) count++;
  return count;
}

// True where threads take columns one after the other, as they come, instead of fixed shares. The weights of
// few rows come from memory in so short a time that a thread which has to wake up, or which shares its core
// with another process, would keep the others waiting.
QD_INLINE bool dealsOut(const Threads& threads, int parts, const Stage& stage, Size rows) {
  if (parts == 1) return false;
  for (int j = 0; j < stage.jobCount; j++)
    if (wholeTerms(threads, stage.jobs[j], rows) == 0) return false;
  return true;
}

// True where some product of these stages reads the packed stripes that begin at `before`; else they are not
// packed.
QD_INLINE bool areRead(const Threads& threads, const Stage* stages, int count, Size before, Size rows) {
  for (int s = 0; s < count; s++) {
    for (int j = 0; j < stages[s].jobCount; j++) {
      const Job& job = stages[s].jobs[j];
      for (int i = wholeTerms(threads, job, rows); i < job.count; i++)
        if (job.terms[i].before == before && !job.terms[i].term.isReadInPlace(rows)) return true;
    }
  }
  return false;
}

// True where few rows are multiplied with the operands in each other's place, weights being decoded on the
// way (multiply-few-across.cpp).
QD_INLINE bool readsAcross(const RowBlock& block) { return block.packing.across && block.rows <= AMX_ROWS; }

// True where the terms from `first` on are multiplied without panels (few-rows.h).
QD_INLINE bool readsAllDirectly(const Job& job, int first, Size rows) {
  if (job.product.to.half) return false;
  for (int i = first; i < job.count; i++)
    if (!readsDirectly(job.terms[i].term, rows)) return false;
  return true;
}

// ---- Columns: panels that are packed together ----

// Length of a group out of a thread's `panels`. Groups have nearly equal lengths, since each is another walk
// over A.
QD_INLINE Size panelsTogether(Size panels, bool pairs) {
  return divideUp(panels, divideUp(panels, groupPanels(pairs)));
}

// ---- Results: where sums are kept until they are whole ----

// True where C goes past the caches: it is too large to stay in them until it is read, and its rows are whole
// cache lines. `isAdded`: the first terms of the job are in C already.
QD_INLINE bool goesPast(const Product& product, bool pairs, bool isAdded) {
  const Destination& to = product.to;
  const Size count = product.m * product.n;
  if (to.add || isAdded || !(fillsTiles(pairs) || to.half)) return false;
  return to.half ? leavesCaches(to.half, count, to.stride) : leavesCaches(to.data, count, to.stride);
}

// True where the sums of a group are kept in the thread's scratch until they are whole, not in C.
QD_INLINE bool keepsSumsApart(const Destination& to, bool past, bool across) {
  return to.half || past || across;
}

// What the first block of the depth finds in C. Across, sums are kept apart, and those of earlier terms are
// added last.
QD_INLINE Start firstStart(const Destination& to, bool across, bool isAdded) {
  if (isAdded) return across ? Start::overwrite : Start::add;
  if (to.add && !to.half) return Start::add;
  return to.bias ? Start::bias : Start::overwrite;
}

// True where a tile prefetches rows that a later tile will read: a thread's packed rows are too
// large for its second-level cache.
QD_INLINE bool prefetchesAhead(Size stripes, Size rowWords, bool pairs) {
  return fillsTiles(pairs) && stripes * stripeRows(pairs) * rowWords >= PREFETCHED_FLOATS;
}

}  // namespace qdylora::QD_LEVEL
