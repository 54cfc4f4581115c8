// Computes: C (+)= Σ A·B + bias for one thread's rectangle of a row block: the loops over groups of panels,
//   blocks of the depth, stripes and panels. Decisions are in gemm/policy.h.
// Owners: a thread owns its stripes × its panels of C, and packs a group of panels at a time into its own
//   scratch.
// Cost: 2·rows·columns·depth operations. For each group, A is read once (packed rows, from the second-level
//   cache for every panel but the first) and B once (decoded while it is packed). C is written once per block
//   of the depth; a C in bf16, or a large one, only once.
// Assumes: the stripes are packed, and C overlaps no operand. Kernels check lengths.
// Dropped: depth as the outer loop: C leaves the cache (Zen 3, 2026).
#include "../gemm/depth-blocks.h"
#include "../gemm/rectangle.h"

namespace qdylora::QD_LEVEL {

namespace {

// Some columns of a job, at most groupPanels of them, whose panels are packed together.
struct Group {
  Size column, columns;  // [column, column + columns)
  float* c;              // sums of the first row: in C, or in the thread's scratch
  Size stride;           // of the sums
  const float* bias;     // of the first column, or nullptr
  Finished to;           // where whole sums go from the scratch
  Start start;           // what the first block of the depth finds in `c`
};

// `isAdded`: the first terms of the job are in C already, with the bias.
Group groupAt(const Product& product, const RowBlock& block, Size column, Size columns, bool isAdded,
              const Room& room) {
  const Destination& to = product.to;
  const Packing& packing = block.packing;
  const Size first = block.begin * to.stride + column;
  const bool past = goesPast(product, packing.pairs, isAdded);
  const float* bias = to.bias ? to.bias + column : nullptr;
  const Start start = firstStart(to, packing.across, isAdded);
  if (!keepsSumsApart(to, past, packing.across))
    return {column, columns, to.data + first, to.stride, bias, nowhere(), start};
  Finished apart{};
  if (to.half)
    apart.half = to.half + first;
  else
    apart.f32 = to.data + first;
  apart.stride = to.stride;
  apart.add = to.add || isAdded;
  apart.past = past;
  return {column, columns, room.sums, GROUP_COLUMNS, isAdded ? nullptr : bias, apart, start};
}

// Levels of a 4-bit matrix that will be packed next. They are prefetched meanwhile.
struct NextParts {
  Part parts[MOST_TERMS];
  int count;
  Size column, columns;

  QD_INLINE void prefetch(Size share, Size shares) const {
    for (int i = 0; i < count; i++) {
      const Term& t = parts[i].placed->term;
      if (t.hasLevels())
        prefetchLevels(t.b.packed, column, columns, parts[i].k, parts[i].depth, share, shares);
    }
  }
};

// The operands of one part of the depth.
struct Source {
  const float* rows;     // the row block's first row of A: packed, or unpacked where `isInPlace`
  const float* columns;  // the group's packed panels
  const float* scales;   // of panels of levels, or nullptr
  Size rowWords;         // words of a whole row of A
  Size before;           // words of a row before this part
  Size words;            // words of a row, and of a column, in this part
  bool isInPlace;

  // The stripe that begins at `row`, from word `from` on. `height`: its rows, filled up.
  QD_INLINE const float* stripe(Size row, Size height, Size from) const {
    return rows + row * rowWords + from * (isInPlace ? 1 : height);
  }
};

// Packs the group's panels of a part into `panels` (and `scales`, if that is set).
void packPanels(const Part& part, const Packing& packing, const Group& group, float* panels, float* scales) {
  const Columns& b = part.placed->term.b;
  if (scales) {
    packNf4Levels(b, group.column, group.columns, part.k, part.depth, panels, scales);
  } else if (packing.across) {
    const auto pack = b.dense() ? packDenseStripes : packNf4Stripes;
    pack(b, group.column, group.columns, part.k, part.depth, panels);
  } else {
    const auto pack = b.dense() ? packDensePanels : packNf4Panels;
    pack(b, part.placed->term.form(), group.column, group.columns, part.k, part.depth, panels);
  }
}

// Packs a part's panels behind the `wordsBefore` words of the parts before it.
Source packSource(const Part& part, const RowBlock& block, const Group& group, const float* packed,
                  const Room& room, Size wordsBefore) {
  const Term& t = part.placed->term;
  const bool pairs = block.packing.pairs;
  const Size at = groupPanels(pairs) * PANEL * wordsBefore;
  float* const panels = room.panels + at;
  float* const scales = block.packing.scaled && t.hasLevels() ? room.scales + at / RUN_WORDS : nullptr;
  packPanels(part, block.packing, group, panels, scales);
  Source source{};
  source.isInPlace = t.isReadInPlace(block.rows);
  source.rows = source.isInPlace ? reinterpret_cast<const float*>(t.a.half + block.begin * t.a.stride)
                                 : packed + part.placed->before * block.height;
  source.columns = panels;
  source.scales = scales;
  source.rowWords = source.isInPlace ? t.a.stride / 2 : wordsOf(t.depth, pairs);
  source.before = wordsOf(part.k, pairs);
  source.words = wordsOf(part.depth, pairs);
  return source;
}

// A group of packed panels and a thread's stripes in one block of the depth.
struct Walk {
  const RowBlock& block;
  const Group& group;
  const Room& room;
  const Source* sources;  // one for each part of the depth
  int sourceCount;
  Range tiles;      // the thread's stripes
  Start start;      // what the tiles find in the sums
  bool isLast;      // sums are whole after this block of the depth
  bool prefetches;  // tiles prefetch rows that later tiles will read
  Size aheadLines;  // cache lines that a tile prefetches for each step of the depth
};

// Where the packed words begin that the same stripe of the next round will read; after the last round, the
// stripes start again with the next block of the depth, or with the first one for the next group.
QD_INLINE const float* aheadOf(const Walk& walk, const Source& source, Size stripe, bool startsAgain,
                               Size panel) {
  const RowBlock& block = walk.block;
  const bool pairs = block.packing.pairs;
  const Size end = source.before + source.words;
  const Size nextBlock = end < source.rowWords ? end : 0;
  const Size from = startsAgain ? nextBlock : source.before;
  const Size row = tileRows(block.rows, block.tiles, smaller(stripe, walk.tiles.end - 1), pairs).begin;
  return source.stripe(row, stripeRows(pairs), from) + panel * walk.aheadLines * source.words;
}

// What the tile at stripe `rows` and column p of the group reads of one part of the depth.
QD_INLINE DepthSegment segmentOf(const Walk& walk, const Source& source, Range rows, Size p,
                                 const float* ahead) {
  const Packing& packing = walk.block.packing;
  const Size height = roundUp(rows.end - rows.begin, rowUnit(packing.pairs, packing.across));
  const float* const left = source.stripe(rows.begin, height, source.before);
  const float* const right = source.columns + p * source.words;
  DepthSegment segment{};
  segment.stripe = packing.across ? right : left;
  segment.panel = packing.across ? left : right;
  segment.words = source.words;
  segment.ahead = ahead;
  segment.rowWords = source.isInPlace ? source.rowWords : 0;
  segment.scales = source.scales ? source.scales + p * source.words / RUN_WORDS : nullptr;
  return segment;
}

// Where the whole sums of the tile go from the scratch.
QD_INLINE Finished finishedAt(const Walk& walk, Size row, Size p) {
  if (!walk.isLast) return nowhere();
  Finished to = walk.group.to;
  const Size at = row * to.stride + p;
  if (to.f32) to.f32 += at;
  if (to.half) to.half += at;
  return to;
}

// One tile: stripe i, and the panel at column p of the group. `next`: the stripe that is read one round
// later.
QD_INLINE void multiplyOne(const Walk& walk, Size i, Size p, Size next, bool startsAgain) {
  const RowBlock& block = walk.block;
  const Group& group = walk.group;
  const bool across = block.packing.across;
  const Range rows = tileRows(block.rows, block.tiles, i, block.packing.pairs);
  DepthSegment segments[MOST_TERMS];
  for (int s = 0; s < walk.sourceCount; s++) {
    const Source& source = walk.sources[s];
    const float* ahead = walk.prefetches ? aheadOf(walk, source, next, startsAgain, p / PANEL) : nullptr;
    segments[s] = segmentOf(walk, source, rows, p, ahead);
  }
  // Across, the sums of a tile are a square of their own.
  const Size place =
      across ? (i - walk.tiles.begin) * GROUP_COLUMNS * PANEL + p * PANEL : rows.begin * group.stride + p;
  TileTask task;
  task.segments = segments;
  task.count = walk.sourceCount;
  task.pairs = block.packing.pairs;
  task.c = group.c + place;
  task.stride = group.stride;
  task.to = finishedAt(walk, rows.begin, p);
  task.columns = smaller(PANEL, group.columns - p);
  task.start = walk.start;
  task.bias = group.bias ? group.bias + p : nullptr;
  task.late = walk.room.late;
  task.aheadLines = walk.aheadLines;
  (across ? multiplyAcross : multiplyTile)(rows.end - rows.begin, task);
}

// All tiles of a walk: rounds of groupStripes stripes pass by one panel after the other.
void multiplyTiles(const Walk& walk, const NextParts& after) {
  const Size stripesOfRound = groupStripes(walk.block.packing.pairs);
  const Size columns = walk.group.columns;
  const Range tiles = walk.tiles;
  const Size calls = (tiles.end - tiles.begin) * divideUp(columns, PANEL);
  Size call = 0;
  for (Size from = tiles.begin; from < tiles.end; from += stripesOfRound) {
    const Size end = smaller(from + stripesOfRound, tiles.end);
    const bool startsAgain = end == tiles.end;
    const Size nextRound = startsAgain ? tiles.begin : end;
    for (Size p = 0; p < columns; p += PANEL) {
      for (Size i = from; i < end; i++) {
        after.prefetch(call++, calls);
        multiplyOne(walk, i, p, nextRound + i - from, startsAgain);
      }
    }
  }
}

// One block of the depth through panels.
void multiplyPanels(const Part* parts, int count, const RowBlock& block, Range tiles, const Group& group,
                    const float* packed, const Room& room, Start start, bool isLast, const NextParts& after) {
  Source sources[MOST_TERMS];
  Size words = 0;
  for (int i = 0; i < count; i++) {
    sources[i] = packSource(parts[i], block, group, packed, room, words);
    words += sources[i].words;
  }
  const bool pairs = block.packing.pairs;
  const bool prefetches = prefetchesAhead(tiles.end - tiles.begin, sources[0].rowWords, pairs);
  const Size aheadLines = divideUp(stripeRows(pairs), divideUp(group.columns, PANEL));
  multiplyTiles({block, group, room, sources, count, tiles, start, isLast, prefetches, aheadLines}, after);
}

// One block of the depth straight from B.
void multiplyDirectly(const Part* parts, int count, const RowBlock& block, const Group& group,
                      const float* packed, float* carry, Start start) {
  for (int i = 0; i < count; i++) {
    const Part& part = parts[i];
    const Term& t = part.placed->term;
    FewRows task;
    task.rows = block.rows;
    task.column = group.column;
    task.columns = group.columns;
    task.k0 = part.k;
    task.depth = part.depth;
    task.stripe = packed + (part.placed->before + wordsOf(part.k, t.pairs())) * block.rows;
    task.to = group.c;
    task.stride = group.stride;
    task.start = start;
    task.bias = group.bias;
    task.carry = carry;
    task.isFirst = i == 0;
    task.isLast = i + 1 == count;
    multiplyFewRows(t, task);
  }
}

// The first terms of a job of few rows, over their whole depth: their matrices come from memory as they are,
// for all columns of the thread.
void multiplyWholeTerms(const Job& job, int count, const RowBlock& block, const Rectangle& mine,
                        const Room& room) {
  const Product& product = job.product;
  const Size column = mine.panels.begin * PANEL;
  const Size columns = smaller(mine.panels.end * PANEL, product.n) - column;
  const WholeDepth task{block.begin, block.rows,     column,      columns,
                        product.to,  product.to.add, room.panels, mine.continues};
  const Term& first = job.terms[0].term;
  (first.b.dense() ? multiplyDenseRows : multiplyTiledRows)(first, task);
  for (int i = 1; i < count; i++) addDenseColumns(job.terms[i].term, task);
}

// The terms of a job from `first` on, group by group of the thread's panels.
void multiplyGroups(const Job& job, int first, const RowBlock& block, const Rectangle& mine,
                    const float* packed, const Room& room) {
  const Product& product = job.product;
  const bool isDirect = readsAllDirectly(job, first, block.rows);
  const Size together = panelsTogether(mine.panels.end - mine.panels.begin, block.packing.pairs);
  const auto columnsFrom = [&](Size panel) {
    return smaller(smaller(panel + together, mine.panels.end) * PANEL, product.n) - panel * PANEL;
  };
  // What is packed next: the rest of this group's depth, or the first block of the next group's.
  const auto partsAfter = [&](Size panel, DepthBlocks blocks) {
    NextParts next{};
    if (!block.packing.scaled) return next;
    next.count = blocks.next(next.parts);
    if (next.count == 0 && panel + together < mine.panels.end) {
      panel += together;
      next.count = DepthBlocks(job, first).next(next.parts);
    }
    next.column = panel * PANEL;
    next.columns = columnsFrom(panel);
    return next;
  };
  for (Size panel = mine.panels.begin; panel < mine.panels.end; panel += together) {
    const Group group = groupAt(product, block, panel * PANEL, columnsFrom(panel), first > 0, room);
    DepthBlocks blocks(job, first);
    Part parts[MOST_TERMS];
    Start start = group.start;
    for (int count = blocks.next(parts); count > 0; count = blocks.next(parts)) {
      if (isDirect)
        multiplyDirectly(parts, count, block, group, packed, room.panels, start);
      else
        multiplyPanels(parts, count, block, mine.tiles, group, packed, room, start, blocks.isAtEnd(),
                       partsAfter(panel, blocks));
      start = Start::add;
    }
  }
}

}  // namespace

void multiplyRectangle(const Threads& threads, const Job& job, const RowBlock& block, const Rectangle& mine,
                       const float* packed, const Room& room) {
  if (mine.tiles.begin == mine.tiles.end || mine.panels.begin == mine.panels.end) return;
  const int whole = wholeTerms(threads, job, block.rows);
  if (whole > 0) multiplyWholeTerms(job, whole, block, mine, room);
  if (whole == job.count) return;
  if (readsAcross(block))
    multiplyFewAcross(job, whole, block, mine.panels, packed, room);
  else
    multiplyGroups(job, whole, block, mine, packed, room);
}

}  // namespace qdylora::QD_LEVEL
