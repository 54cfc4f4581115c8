// Computes: C (+)= Σ A·B + bias, cut into blocks for the caches and shared among threads: the loops over row
//   blocks and stages. Decisions are in gemm/policy.h; gemm/product.h has the picture.
// Owners: a thread packs its share of the stripes of A, which all threads read, and computes one rectangle of
//   C. One barrier per row block (1,024 rows) whose rows are packed, three with adapters; none or one where
//   few rows are packed.
// Cost: 2·m·n·depth operations. Reads A and B once per row block; writes C once per block of the depth, which
//   may hold several terms.
// Assumes: arrays that do not overlap. Kernels check lengths.
// Dropped: bf16 rows in tiles, read in place instead of packed: the same time, since the first walk over them
//   takes as long as packing (Granite Rapids, 2026). Columns alone shared among threads: a narrow C, as of an
//   adapter, leaves threads without work (Zen 3, 2026). Operands in each other's place on levels without
//   tiles, 4-bit rows as stripes: 32 rows −3 to −5 %, 64 rows −5 to +2 %, fewer rows than a panel +20 % (Zen
//   4, 2026).
#include "../gemm/rectangle.h"

namespace qdylora::QD_LEVEL {

namespace {

void packStripes(const Term& t, const RowBlock& block, Range tiles, float* packed) {
  for (Size i = tiles.begin; i < tiles.end; i++) {
    const Range rows = tileRows(block.rows, block.tiles, i, block.packing.pairs);
    const Size first = block.begin + rows.begin;
    const Size count = rows.end - rows.begin;
    float* out = packed + rows.begin * wordsOf(t.depth, t.pairs());
    if (block.packing.across)
      packTilePanel(t.a, first, count, 0, t.depth, out);
    else
      packStripe(t.a, t.pairs(), first, count, 0, t.depth, out);
  }
}

// The result of a product without depth: C = 0, C = bias, or C unchanged.
void multiplyNothing(const Product& product, const RowBlock& block) {
  const Destination& to = product.to;
  if (to.add) return;
  for (Size i = block.begin; i < block.begin + block.rows; i++) {
    for (Size j = 0; j < product.n; j++) {
      const float c = to.bias ? to.bias[j] : 0.f;
      const Size at = i * to.stride + j;
      if (to.half)
        to.half[at] = static_cast<BFloat16>(__builtin_bit_cast(std::uint32_t, roundToBf16(c)) >> 16);
      else
        to.data[at] = c;
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

Size mostPanels(const Stage* stages, int count) {
  Size most = 0;
  for (int s = 0; s < count; s++) most = larger(most, panelsOf(stages[s]));
  return most;
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

// One thread of a call of multiplyStages.
struct Worker {
  Threads& threads;
  int parts, part;
  const Stage* stages;
  int stageCount;
  bool packsApart;  // `packed` is the thread's own
  float* packed;    // the stripes of a row block, term after term
  const Room& room;
};

// Applies a stage's changes to the thread's rows.
void changeRows(const Stage& stage, const RowBlock& block, Range tiles) {
  if (tiles.begin == tiles.end) return;
  const bool pairs = block.packing.pairs;
  const Size first = block.begin + tileRows(block.rows, block.tiles, tiles.begin, pairs).begin;
  const Size last = block.begin + tileRows(block.rows, block.tiles, tiles.end - 1, pairs).end;
  for (int i = 0; i < stage.changeCount; i++) {
    const RowChange& change = stage.changes[i];
    change.apply(change.context, change.data, first, last);
  }
}

// Packs the thread's share of what stage `s` brings and some product reads; true where there was any.
bool packStage(const Worker& worker, int s, const RowBlock& block, Range tiles) {
  const Stage& stage = worker.stages[s];
  bool hasPacked = false;
  for (int i = 0; i < stage.packCount; i++) {
    const Placed& pack = stage.packs[i];
    if (!areRead(worker.threads, worker.stages + s, worker.stageCount - s, pack.before, block.rows)) continue;
    const Range share = worker.packsApart ? Range{0, block.tiles} : tiles;
    packStripes(pack.term, block, share, worker.packed + pack.before * block.height);
    hasPacked = true;
  }
  return hasPacked;
}

// Computes the panels `mine` of all products of a stage, which are counted one product after the other.
// `last`: the job of the thread's rectangle before, or nullptr.
void multiplyPanels(const Worker& worker, const Stage& stage, const RowBlock& block, Range tiles, Range mine,
                    const Job*& last) {
  Size begin = 0;
  for (int j = 0; j < stage.jobCount; j++) {
    const Job& job = stage.jobs[j];
    const Size end = begin + divideUp(job.product.n, PANEL);
    const Size from = larger(mine.begin, begin);
    const Size to = smaller(mine.end, end);
    if (from < to && !isEmpty(job)) {
      const bool continues = last == &job && wholeTerms(worker.threads, job, block.rows) == job.count;
      multiplyRectangle(worker.threads, job, block, {tiles, {from - begin, to - begin}, continues},
                        worker.packed, worker.room);
      last = &job;
    }
    begin = end;
  }
}

// The thread's part of all products of a stage. `keeps`: all columns of its own rows.
void multiplyStage(const Worker& worker, const Stage& stage, const RowBlock& block, bool keeps) {
  const int parts = worker.parts;
  const int part = worker.part;
  const Size panels = panelsOf(stage);
  const Grid grid = keeps ? Grid{parts, 1} : chooseGrid(parts, block.tiles, panels);
  const Range tiles = shareOf(block.tiles, grid.rows, part / grid.columns);
  const Job* last = nullptr;
  const auto multiplyRange = [&](Range mine) { multiplyPanels(worker, stage, block, tiles, mine, last); };
  for (int j = 0; j < stage.jobCount && part == 0; j++)
    if (isEmpty(stage.jobs[j])) multiplyNothing(stage.jobs[j].product, block);
  if (dealsOut(worker.threads, parts, stage, block.rows))
    takeTurns(stage.taken, panels, parts, multiplyRange);
  else
    multiplyRange(shareOf(panels, grid.columns, part % grid.columns));
}

// The parts of the scratch: stripes (one copy, or one for each thread), then each thread's room.
float* stripesOf(float* scratch, Size m, Size words, bool apart, int part) {
  return scratch + (apart ? stripesFloats(m, words) * static_cast<Size>(part) : 0);
}
Room roomOf(float* scratch, Size m, Size words, Size copies, int part, LateRows& late) {
  const Size roomFloats = GROUP_FLOATS + SCALES_FLOATS + sumsFloats(m);
  float* const room = scratch + stripesFloats(m, words) * copies + roomFloats * static_cast<Size>(part);
  return {room, room + GROUP_FLOATS, room + GROUP_FLOATS + SCALES_FLOATS, &late};
}

}  // namespace

void multiplyStages(Threads& threads, int parts, int part, const Stage* stages, int count, Size m, Size words,
                    float* scratch) {
  const Size panels = mostPanels(stages, count);
  if (panels == 0) return;  // no column: nothing bounds the number of rows
  const Packing packing = choosePacking(threads, stages, count, m);
  const bool apart = packsApart(stages, count, m, words, parts);
  LateRows late;
  const Room room = roomOf(scratch, m, words, apart ? static_cast<Size>(parts) : 1, part, late);
  float* const packed = stripesOf(scratch, m, words, apart, part);
  const Worker worker{threads, parts, part, stages, count, apart, packed, room};
  [[maybe_unused]] const TileRegisters registers;
  for (Size begin = 0; begin < m;) {
    const RowBlock block = rowBlockAt(m, words, begin, packing);
    const Range tiles = shareOf(block.tiles, parts, part);
    const bool keeps = keepsRows(parts, block.tiles, panels, packing.pairs);
    begin += block.rows;
    for (int s = 0; s < count; s++) {
      changeRows(stages[s], block, tiles);
      const bool hasPacked = packStage(worker, s, block, tiles);
      const bool hasWritten = hasPacked || stages[s].changeCount > 0;
      if (hasWritten && !keeps && !apart) threads.barrier();
      multiplyStage(worker, stages[s], block, keeps);
      late.finish();
      streamFence();
      // The next stage reads these products; the next row block is packed over this one.
      const bool isLastStage = s + 1 == count;
      if (isLastStage ? begin < m : !keeps) threads.barrier();
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
