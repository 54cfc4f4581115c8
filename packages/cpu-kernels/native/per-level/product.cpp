// C (+)= Σ A·B + bias, blocked for caches and shared among threads; see gemm/product.h for the picture.
// A thread owns a rectangle of C and one group of panels; stripes of A are packed together and read by all.
// 2·m·n·depth operations. Reads A and B once per row block, writes C once per depth block, which spans terms.
// Assumes arrays that do not overlap; kernels check lengths. One barrier per row block (1,024 rows) whose
//   rows are packed, three with adapters; none or one where few rows are packed.
// Tried and dropped: bf16 rows read as tiles where they lie (the same: what packing took, the first walk over
//   them then takes; Granite Rapids, 2026), splitting by columns only (a narrow C, as of an adapter, starves
//   threads); operands in each other's place without tiles, 4-bit rows as stripes (32 rows −3 to −5 %, 64
//   rows −5 to +2, fewer than a panel +20 %; Zen 4, 2026); depth as the outer loop (C leaves the cache; both
//   Zen 3, 2026).
#include "../gemm/whole-depth.h"

namespace qdylora::QD_LEVEL {

namespace {

// `height`: rows, filled up to whole tiles.
// `across`: the operands stand in each other's place (see multiplyAcross). `scaled`: 4-bit matrices whose
// rows are the columns are panels of levels.
struct RowBlock {
  Size begin, rows, tiles, height;
  bool pairs, across, scaled;
};

RowBlock rowBlockAt(Size m, Size words, Size begin, bool pairs, bool across, bool scaled) {
  const Size rows = smaller(rowBlock(m, words), m - begin);
  return {begin,
          rows,
          divideUp(rows, scaled ? SCALED_ROWS : stripeRows(pairs)),
          roundUp(rows, rowUnit(pairs, across)),
          pairs,
          across,
          scaled};
}

void packStripes(const Term& t, const RowBlock& block, Range tiles, float* packed) {
  for (Size i = tiles.begin; i < tiles.end; i++) {
    const Range rows = tileRows(block.rows, block.tiles, i, block.pairs);
    float* out = packed + rows.begin * wordsOf(t.depth, t.pairs());
    if (block.across)
      packTilePanel(t.a, block.begin + rows.begin, rows.end - rows.begin, 0, t.depth, out);
    else
      packStripe(t.a, t.pairs(), block.begin + rows.begin, rows.end - rows.begin, 0, t.depth, out);
  }
}

// A part of a term's depth in a block of the depth.
struct Part {
  const Placed* placed;
  Size k, depth;
};

// The depth of a job's terms, one after the other, cut into blocks of nearly equal length whose panels fit a
// thread's room. A cut inside a term is on a multiple of 64 steps (the usual
// quantization block). It depends on the terms alone.
class DepthBlocks {
 public:
  QD_INLINE DepthBlocks(const Job& job, int firstTerm) : job_(job), term_(firstTerm) {
    for (int i = firstTerm; i < job.count; i++)
      left_ += wordsOf(job.terms[i].term.depth, job.terms[i].term.pairs());
    most_ = mostWords(job.terms[firstTerm].term.pairs());
    const Size blocks = larger(divideUp(left_, most_), Size{1});
    target_ = divideUp(left_, blocks);
  }

  // The next block's parts; 0 where none is left.
  QD_INLINE int next(Part (&parts)[MOST_TERMS]) {
    const Size target = left_ <= most_ ? left_ : target_;
    int count = 0;
    for (Size words = 0; term_ < job_.count && words < target;) {
      const Placed& placed = job_.terms[term_];
      const bool pairs = placed.term.pairs();
      const Size rest = placed.term.depth - k_;
      const Size step = pairs ? 2 : 1;
      Size depth = rest;
      if (wordsOf(rest, pairs) > target - words) depth = roundUp((target - words) * step, CUT);
      if (wordsOf(depth, pairs) > most_ - words) depth = (most_ - words) * step / CUT * CUT;
      depth = smaller(depth, rest);
      if (depth == 0 && rest > 0) break;
      if (depth > 0) parts[count++] = {&placed, k_, depth};
      words += wordsOf(depth, pairs);
      left_ -= wordsOf(depth, pairs);
      k_ += depth;
      if (k_ == placed.term.depth) {
        term_++;
        k_ = 0;
      }
    }
    return count;
  }

  // True once the last block has been handed out.
  QD_INLINE bool isAtEnd() const { return left_ == 0; }

 private:
  static constexpr Size CUT = 64;
  const Job& job_;
  int term_;
  Size k_ = 0, left_ = 0, most_, target_;
};

// A thread's own scratch: a group of packed panels, its sums, and rows that wait.
struct Room {
  float *panels, *scales, *sums;
  LateRows* late;
};

// Some columns [column, column + columns) of a job, at most groupPanels of them, and where they go in this
// row block: `c`, or, from `c`, the thread's sums, to `to`.
struct Group {
  Size column, columns;
  float* c;
  Size stride;
  const float* bias;
  Finished to;
};

void multiplyFewRowsOf(const Part* parts, int count, const RowBlock& block, const Group& group,
                       const float* packed, float* carry, Start start) {
  for (int i = 0; i < count; i++) {
    const Term& t = parts[i].placed->term;
    const float* stripe =
        packed + parts[i].placed->before * block.rows + wordsOf(parts[i].k, t.pairs()) * block.rows;
    multiplyFewRows(t, {block.rows, group.column, group.columns, parts[i].k, parts[i].depth, stripe, group.c,
                        group.stride, start, group.bias, carry, i == 0, i + 1 == count});
  }
}

// Parts of the depth that will be packed after those at hand, and for which columns: levels of a 4-bit matrix
// are asked for meanwhile.
struct NextParts {
  Part parts[MOST_TERMS];
  int count;
  Size column, columns;
  QD_INLINE void ask(Size share, Size shares) const {
    for (int i = 0; i < count; i++) {
      const Term& t = parts[i].placed->term;
      if (t.hasLevels()) askForLevels(t.b.packed, column, columns, parts[i].k, parts[i].depth, share, shares);
    }
  }
};

// Where a part's rows begin as they are packed or, `lying`, in memory, how many words a row of them has, how
// many of those come before the part, and how many it has itself; and its packed columns, with
// scales where they are levels.
struct Source {
  const float *rows, *columns;
  Size rowWords, before, words;
  bool lying;
  const float* scales;
  // The stripe (or panel) that begins at `row`, from `before` words on. `height`: its rows, filled up.
  QD_INLINE const float* at(Size row, Size height, Size from) const {
    return rows + row * rowWords + from * (lying ? 1 : height);
  }
};

void multiplyTilesOf(const Part* parts, int count, const RowBlock& block, Range tiles, const Group& group,
                     const float* packed, const Room& room, Start start, bool isLast,
                     const NextParts& after) {
  const bool pairs = block.pairs;
  Source sources[MOST_TERMS];
  Size words = 0;
  for (int i = 0; i < count; i++) {
    const Term& t = parts[i].placed->term;
    float* out = room.panels + groupPanels(pairs) * PANEL * words;
    float* const scales = block.scaled && t.hasLevels()
                              ? room.scales + groupPanels(pairs) * PANEL * words / RUN_WORDS
                              : nullptr;
    if (scales)
      packNf4Levels(t.b, group.column, group.columns, parts[i].k, parts[i].depth, out, scales);
    else if (block.across)
      (t.b.dense() ? packDenseStripes : packNf4Stripes)(t.b, group.column, group.columns, parts[i].k,
                                                        parts[i].depth, out);
    else
      (t.b.dense() ? packDensePanels : packNf4Panels)(t.b, t.form(), group.column, group.columns, parts[i].k,
                                                      parts[i].depth, out);
    const bool lying = t.lies(block.rows);
    const float* rows = lying ? reinterpret_cast<const float*>(t.a.half + block.begin * t.a.stride)
                              : packed + parts[i].placed->before * block.height;
    sources[i] = {rows,
                  out,
                  lying ? t.a.stride / 2 : wordsOf(t.depth, pairs),
                  wordsOf(parts[i].k, pairs),
                  wordsOf(parts[i].depth, pairs),
                  lying,
                  scales};
    words += sources[i].words;
  }
  // What the next stripes will read, of this block or of the one after it, is asked for while these are
  // multiplied, a share with each panel.
  const bool asks = fillsTiles(pairs) &&
                    (tiles.end - tiles.begin) * stripeRows(pairs) * sources[0].rowWords >= ASKED_FLOATS;
  const Size aheadLines = divideUp(stripeRows(pairs), divideUp(group.columns, PANEL));
  const Size calls = (tiles.end - tiles.begin) * divideUp(group.columns, PANEL);
  Size made = 0;
  for (Size from = tiles.begin; from < tiles.end; from += groupStripes(pairs)) {
    const Size end = smaller(from + groupStripes(pairs), tiles.end);
    const bool isTurn = end == tiles.end;
    const Size next = isTurn ? tiles.begin : end;
    for (Size p = 0; p < group.columns; p += PANEL) {
      for (Size i = from; i < end; i++) {
        const Range rows = tileRows(block.rows, block.tiles, i, pairs);
        const Size height = roundUp(rows.end - rows.begin, rowUnit(pairs, block.across));
        Segment segments[MOST_TERMS];
        for (int s = 0; s < count; s++) {
          const Source& source = sources[s];
          const float *left = source.at(rows.begin, height, source.before),
                      *right = source.columns + p * source.words, *ahead = nullptr;
          if (asks) {
            const Size row =
                tileRows(block.rows, block.tiles, smaller(next + i - from, tiles.end - 1), pairs).begin;
            const Size after = source.before + source.words;
            ahead = source.at(row, stripeRows(pairs),
                              !isTurn                   ? source.before
                              : after < source.rowWords ? after
                                                        : 0) +
                    p / PANEL * aheadLines * source.words;
          }
          segments[s] = {block.across ? right : left,
                         block.across ? left : right,
                         source.words,
                         ahead,
                         source.lying ? source.rowWords : 0,
                         source.scales ? source.scales + p * source.words / RUN_WORDS : nullptr};
        }
        Finished to = nowhere();
        if (isLast) {
          const Size at = rows.begin * group.to.stride + p;
          to = group.to;
          if (to.f32) to.f32 += at;
          if (to.half) to.half += at;
        }
        float* const c = block.across ? group.c + (i - tiles.begin) * GROUP_COLUMNS * PANEL + p * PANEL
                                      : group.c + rows.begin * group.stride + p;
        const TileTask task{segments,
                            count,
                            pairs,
                            c,
                            group.stride,
                            to,
                            smaller(PANEL, group.columns - p),
                            start,
                            group.bias ? group.bias + p : nullptr,
                            room.late,
                            aheadLines};
        after.ask(made++, calls);
        (block.across ? multiplyAcross : multiplyTile)(rows.end - rows.begin, task);
      }
    }
  }
}

// How many of the first terms of a job of so few rows are made over their whole depth at once, from A as it
// stands: their stripes are not read.
int wholeTerms(const Threads& threads, const Job& job, Size rows) {
  const Term& t = job.terms[0].term;
  if (threads.isBatchInvariant() || job.product.to.half ||
      !(multipliesDenseRows(t, rows) || multipliesTiled(t, rows)))
    return 0;
  int count = 1;
  while (count < job.count && addsDenseColumns(job.terms[count].term, rows)) count++;
  return count;
}

// A thread's tiles of a row block, and its panels of one product. `continues`: the thread's last panels were
// of the same product, and its scratch is as they left it.
struct Rectangle {
  Range tiles, panels;
  bool continues;
};

// A C that is too large for the caches until it is read goes past them, where its rows are whole cache lines.
bool goesPast(const Product& p) {
  if (p.to.add) return false;
  return p.to.half ? leavesCaches(p.to.half, p.m * p.n, p.to.stride)
                   : leavesCaches(p.to.data, p.m * p.n, p.to.stride);
}

// One thread's part of one product in one row block whose stripes are packed, term after term.
void multiplyJob(const Threads& threads, const Job& job, const RowBlock& block, const Rectangle& mine,
                 const float* packed, const Room& room) {
  const Product& product = job.product;
  if (mine.tiles.begin == mine.tiles.end || mine.panels.begin == mine.panels.end) return;
  // The matrices of the first terms of few rows come from memory as they stand, for all columns of the
  // thread; the other terms are added.
  const int done = wholeTerms(threads, job, block.rows);
  const bool isDone = done > 0;
  if (isDone) {
    const Size column = mine.panels.begin * PANEL;
    const Size columns = smaller(mine.panels.end * PANEL, product.n) - column;
    const WholeDepth task{block.begin, block.rows,     column,      columns,
                          product.to,  product.to.add, room.panels, mine.continues};
    const Term& t = job.terms[0].term;
    (t.b.dense() ? multiplyDenseRows : multiplyTiledRows)(t, task);
    for (int i = 1; i < done; i++) addDenseColumns(job.terms[i].term, task);
    if (done == job.count) return;
  }
  const Destination& to = product.to;
  bool isDirect = !to.half;
  for (int i = done; i < job.count; i++) isDirect = isDirect && readsDirectly(job.terms[i].term, block.rows);
  // Groups of nearly equal length: each is another walk over A.
  const Size panels = mine.panels.end - mine.panels.begin;
  const Size together = divideUp(panels, divideUp(panels, groupPanels(block.pairs)));
  const auto columnsFrom = [&](Size p) {
    return smaller(smaller(p + together, mine.panels.end) * PANEL, product.n) - p * PANEL;
  };
  // Of the next block of this group's depth, or of the first one of the next group.
  const auto nextParts = [&](Size p, DepthBlocks blocks) {
    NextParts next{};
    if (!block.scaled) return next;
    next.count = blocks.next(next.parts);
    if (next.count == 0 && p + together < mine.panels.end) {
      p += together;
      next.count = DepthBlocks(job, done).next(next.parts);
    }
    next.column = p * PANEL;
    next.columns = columnsFrom(p);
    return next;
  };
  for (Size p = mine.panels.begin; p < mine.panels.end; p += together) {
    const Size column = p * PANEL;
    const Size columns = columnsFrom(p);
    const float* bias = to.bias ? to.bias + column : nullptr;
    const Size first = block.begin * to.stride + column;
    const bool past = (fillsTiles(block.pairs) || to.half) && !isDone && goesPast(product);
    // Across, sums stand apart until they are whole, and what they are added to, C and the bias, comes last.
    const Finished apart{to.half ? nullptr : to.data + first, to.half ? to.half + first : nullptr, to.stride,
                         to.add || isDone, past};
    const Group group = to.half || past || block.across
                            ? Group{column, columns, room.sums, GROUP_COLUMNS, isDone ? nullptr : bias, apart}
                            : Group{column, columns, to.data + first, to.stride, bias, nowhere()};
    Start start = block.across                     ? Start::overwrite
                  : isDone || (to.add && !to.half) ? Start::add
                  : to.bias                        ? Start::bias
                                                   : Start::overwrite;
    DepthBlocks blocks(job, done);
    Part parts[MOST_TERMS];
    for (int count = blocks.next(parts); count > 0; count = blocks.next(parts), start = Start::add) {
      if (isDirect)
        multiplyFewRowsOf(parts, count, block, group, packed, room.panels, start);
      else
        multiplyTilesOf(parts, count, block, mine.tiles, group, packed, room, start, blocks.isAtEnd(),
                        nextParts(p, blocks));
    }
  }
}

// What a product without depth leaves: C = 0, C = bias, or C as it was.
void multiplyNothing(const Product& p, const RowBlock& block) {
  for (Size i = block.begin; i < block.begin + block.rows && !p.to.add; i++) {
    for (Size j = 0; j < p.n; j++) {
      const float c = p.to.bias ? p.to.bias[j] : 0.f;
      if (p.to.half)
        p.to.half[i * p.to.stride + j] =
            static_cast<BFloat16>(__builtin_bit_cast(std::uint32_t, roundToBf16(c)) >> 16);
      else
        p.to.data[i * p.to.stride + j] = c;
    }
  }
}

bool isEmpty(const Job& job) {
  for (int i = 0; i < job.count; i++)
    if (job.terms[i].term.depth > 0) return false;
  return true;
}

// Panels of all products of a stage.
Size panelsOf(const Stage& stage) {
  Size total = 0;
  for (int j = 0; j < stage.jobCount; j++) total += divideUp(stage.jobs[j].product.n, PANEL);
  return total;
}

// True where the operands change places: where the weights' rows are the columns of the products, a row of a
// 4-bit weight is decoded into a row of a tile for two thirds of what a column takes. The sums
// then have to be transposed, so it pays while few rows share what is decoded; longer where the depth takes
// several blocks, in which they go on as they stand (2048²: 32 rows −22 %, 64 −12 %, 128 −12 %,
// 192 −10 %, 256 −4 %, 1,024 +5 %; 1536 deep: 192 −7, 256 −8, 1,024 +7 %; 576 deep: 128 −5, 192 −1, 256 0 to
// +10 %; Granite Rapids up to 64 rows, Emerald Rapids, 2026).
constexpr Size MOST_TILES_ACROSS = 4;
constexpr Size MOST_TILES_ACROSS_DEEP = 8;
bool goesAcross(const Threads& threads, const Stage* stages, int count, Size rows) {
  const Term& weight = stages[count - 1].jobs[0].terms[0].term;
  const bool pairs = stages[0].packs[0].term.pairs();
  const bool isDeep = wordsOf(weight.depth, pairs) > mostWords(pairs);
  if (threads.isBatchInvariant() || !fillsTiles(pairs) ||
      rows > (isDeep ? MOST_TILES_ACROSS_DEEP : MOST_TILES_ACROSS) * PANEL || !weight.b.transposed)
    return false;
  for (int s = 0; s < count; s++) {
    for (int i = 0; i < stages[s].packCount; i++)
      if (stages[s].packs[i].term.a.transposed) return false;
  }
  return true;
}

// True where sums are scaled instead of weights.
bool scalesSums(const Threads& threads, const Stage& last, Size rows) {
  if (threads.isBatchInvariant() || rows > MOST_SCALED_ROWS) return false;
  for (int j = 0; j < last.jobCount; j++)
    if (last.jobs[j].terms[0].term.hasLevels()) return true;
  return false;
}

// True where the columns of a stage are taken by whichever thread comes for them: weights of few rows come
// from memory, for so short a time that a thread which has to be woken, or whose core has others to
// serve, would keep the rest waiting (a text of SmolLM2-135M, two threads: see bench/README.md).
bool dealsOut(const Threads& threads, const Stage& stage, Size rows) {
  for (int j = 0; j < stage.jobCount; j++)
    if (wholeTerms(threads, stage.jobs[j], rows) == 0) return false;
  return true;
}

// Calls body with ranges of [0, total) until all are taken: long ones first, then ever shorter ones, so that
// all threads end together.
template <class Body>
void takeTurns(Size& taken, Size total, int parts, const Body& body) {
  for (Size from = __atomic_load_n(&taken, __ATOMIC_RELAXED); from < total;) {
    const Size to = from + larger<Size>(1, (total - from) / static_cast<Size>(2 * parts));
    if (!__atomic_compare_exchange_n(&taken, &from, to, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) continue;
    body(Range{from, to});
    from = __atomic_load_n(&taken, __ATOMIC_RELAXED);
  }
}

// `keeps`: each thread makes all columns of its own rows.
void multiplyJobs(const Threads& threads, int parts, int part, const Stage& stage, const RowBlock& block,
                  bool keeps, const float* packed, const Room& room) {
  const Size total = panelsOf(stage);
  const Grid grid = keeps ? Grid{parts, 1} : chooseGrid(parts, block.tiles, total);
  const Range tiles = shareOf(block.tiles, grid.rows, part / grid.columns);
  const Job* last = nullptr;
  const auto multiplyRange = [&](Range mine) {
    for (Size j = 0, begin = 0; j < static_cast<Size>(stage.jobCount); j++) {
      const Job& job = stage.jobs[j];
      const Size end = begin + divideUp(job.product.n, PANEL);
      const Size from = larger(mine.begin, begin);
      const Size to = smaller(mine.end, end);
      if (from < to && !isEmpty(job)) {
        multiplyJob(threads, job, block,
                    {tiles,
                     {from - begin, to - begin},
                     last == &job && wholeTerms(threads, job, block.rows) == job.count},
                    packed, room);
        last = &job;
      }
      begin = end;
    }
  };
  for (int j = 0; j < stage.jobCount && part == 0; j++)
    if (isEmpty(stage.jobs[j])) multiplyNothing(stage.jobs[j].product, block);
  if (parts > 1 && dealsOut(threads, stage, block.rows))
    takeTurns(stage.taken, total, parts, multiplyRange);
  else
    multiplyRange(shareOf(total, grid.columns, part % grid.columns));
}

// Whether any product of this stage or a later one reads the stripes that stand at `before`.
bool areRead(const Threads& threads, const Stage* stages, int count, Size before, Size rows) {
  for (int s = 0; s < count; s++) {
    for (int j = 0; j < stages[s].jobCount; j++) {
      const Job& job = stages[s].jobs[j];
      for (int i = 0; i < job.count; i++)
        if (job.terms[i].before == before && !job.terms[i].term.lies(rows) &&
            i >= wholeTerms(threads, job, rows))
          return true;
    }
  }
  return false;
}

// Rows that are changed where they stand are to be seen by all threads before these pack them.
bool changesRows(const Stage* stages, int count) {
  for (int s = 0; s < count; s++)
    if (stages[s].changeCount > 0) return true;
  return false;
}

}  // namespace

void multiplyStages(Threads& threads, int parts, int part, const Stage* stages, int count, Size m, Size words,
                    float* scratch) {
  const bool apart = packsApart(m, words, parts) && !changesRows(stages, count);
  const Size stripes = stripesFloats(m, words);
  const Size copies = apart ? static_cast<Size>(parts) : 1;
  float *packed = scratch + (apart ? stripes * static_cast<Size>(part) : 0),
        *own = scratch + stripes * copies +
               (GROUP_FLOATS + SCALES_FLOATS + sumsFloats(m)) * static_cast<Size>(part);
  LateRows late;
  const Room room{own, own + GROUP_FLOATS, own + GROUP_FLOATS + SCALES_FLOATS, &late};
  const bool pairs = stages[0].packs[0].term.pairs();
  const bool across = goesAcross(threads, stages, count, m);
  const bool scaled = scalesSums(threads, stages[count - 1], m);
  Size panels = 0;
  for (int s = 0; s < count; s++) panels = larger(panels, panelsOf(stages[s]));
  if (panels == 0) return;  // no column: nothing bounds the number of rows
  [[maybe_unused]] const TileRegisters registers;
  for (Size begin = 0; begin < m;) {
    const RowBlock block = rowBlockAt(m, words, begin, pairs, across, scaled);
    const Range tiles = shareOf(block.tiles, parts, part);
    const bool waits = !keepsRows(parts, block.tiles, panels, pairs);
    begin += block.rows;
    for (int s = 0; s < count; s++) {
      const Stage& stage = stages[s];
      bool hasPacked = stage.changeCount > 0;
      for (int i = 0; i < stage.changeCount && tiles.begin < tiles.end; i++) {
        const Size first = tileRows(block.rows, block.tiles, tiles.begin, pairs).begin;
        const Size last = tileRows(block.rows, block.tiles, tiles.end - 1, pairs).end;
        stage.changes[i].apply(stage.changes[i].context, stage.changes[i].data, block.begin + first,
                               block.begin + last);
      }
      for (int i = 0; i < stage.packCount; i++) {
        const Placed& pack = stage.packs[i];
        if (!areRead(threads, stages + s, count - s, pack.before, block.rows)) continue;
        packStripes(pack.term, block, apart ? Range{0, block.tiles} : tiles,
                    packed + pack.before * block.height);
        hasPacked = true;
      }
      if (hasPacked && waits && !apart) threads.barrier();
      multiplyJobs(threads, parts, part, stage, block, !waits, packed, room);
      late.finish();
      streamFence();
      // the next stage reads these products; the next row block is packed over this one
      if (s + 1 < count ? waits : begin < m) threads.barrier();
    }
  }
}

void multiply(Threads& threads, const Product& product, float* scratch, const Term& term) {
  Stage stage{};
  stage.pack({term, 0});
  stage.make(product).add({term, 0});
  const int parts = partsForProduct(threads, product.m, product.n, term.depth);
  threads.run(parts, [&](int part) {
    multiplyStages(threads, parts, part, &stage, 1, product.m, wordsOf(term.depth, term.pairs()), scratch);
  });
}

}  // namespace qdylora::QD_LEVEL
