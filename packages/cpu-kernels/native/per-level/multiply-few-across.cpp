// Computes: C (+)= Σ A·B + bias for at most 16 rows of A in tiles, with the operands in each other's place:
//   generation, where a weight is used by few rows.
// Owners: the caller's thread owns the columns of C. Two tiles hold the sums of 32 of them, [column][row];
//   rows of B's weight are rows of the left tiles, rows of A columns of the right one.
// Cost: a 4-bit weight is decoded into 8 KiB that stay in the first-level cache, a run of 32 rows while the
//   run before it is multiplied: per 64 weights 4 shuffles, 2 shifts and a table; per 512 a tile to load and
//   a product in 16 cycles. A dense bf16 weight is loaded from where it is.
// Assumes: rows of A packed by packTilePanel. Blocks of the depth and steps in them have the order of the
//   blocked product, so a row has the same bits whatever rows come with it.
// Dropped: packed panels (18.9 ms of CPU a token of SmolLM2-135M, batch invariant, one thread; 11.1 so), half
//   of a run's rows decoded at once (11.4), all of them (12.0). Not invariant it is 8.0 to 8.8 (Emerald
//   Rapids, both threads of the core busy, 2026).
#include "../gemm/bias-across.h"
#include "../gemm/depth-blocks.h"
#include "../gemm/nf4-row.h"
#include "../gemm/rectangle.h"

namespace qdylora::QD_LEVEL {

#if defined(QD_TILES)
namespace {

constexpr Size TILE_FLOATS = AMX_ROWS * AMX_WORDS;
constexpr Size ROW_BYTES = AMX_WORDS * 4;
constexpr Size SUM_BYTES = PANEL * 4;
// How many bytes of codes ahead are prefetched while others are decoded (multiply-tiled-rows.cpp).
constexpr Size AHEAD = 8192;

// The rows of A at a step of the depth: two tiles side by side, of which the second is empty.
QD_INLINE TileOperand rowsOfA(const float* rows) { return {rows, ROW_BYTES, 0, 2 * TILE_FLOATS * 4}; }

// Up to 32 columns of C: tile 0 holds the sums of the first 16, tile 2 those of the others.
struct FewColumns {
  Size column, columns;
  const ScaleReader& scales;  // of the job's first term, where it is in 4 bits
  float* room;                // for the packed columns of one block of the depth
  LateRows& late;
};

template <int HIGH, class Each>
QD_INLINE void addPacked(const float* left, const float* rows, Size words, const Each& each) {
  addTileProducts<HIGH, 1, Stream::none>({left, ROW_BYTES, TILE_FLOATS * 4, HIGH * TILE_FLOATS * 4},
                                         rowsOfA(rows), words, each);
}

// A 4-bit weight in runs. A tile takes long to come and a product to be added, so a few rows of the next run
// are decoded between two products.
template <int HIGH>
void addRuns(const Nf4Weight& w, const Part& part, const FewColumns& to, const float* rows) {
  constexpr Size TOGETHER = PANEL / 4;
  alignas(64) float decoded[2][PANEL * RUN_WORDS];
  float scales[MOST_RUNS][PANEL];
  const F32x levels = load(w.levels);
  const Size run0 = part.k / RUN;
  const Size runs = part.depth / RUN;
  to.scales.read(to.column, to.columns, run0, runs, scales);
  const auto decode = [&](Size i, Size quarter) {
    const Size row = quarter * TOGETHER;
    const std::uint8_t* codes = w.runCodes(to.column, run0 + i) + row * w.rowStride();
    if (w.tiled)
      for (Size line = 0; line < TOGETHER * RUN / 2; line += 64)
        __builtin_prefetch(codes + AHEAD + line, 0, 2);
    float* low = decoded[i % 2] + row * AMX_WORDS;
    const Size exist = row < to.columns ? smaller(TOGETHER, to.columns - row) : 0;
    decodeRows(codes, w.rowStride(), levels, scales[i] + row, exist, TOGETHER, low, low + HIGH * TILE_FLOATS);
  };
  for (Size quarter = 0; quarter < 2 * HIGH; quarter++) decode(0, quarter);
  for (Size i = 0; i < runs; i++) {
    const float* left = decoded[i % 2];
    Size quarter = 0;
    const auto decodeNext = [&] {
      if (i + 1 < runs) decode(i + 1, quarter++);
      QD_TILE_FENCE;
    };
    for (Size step = 0; step < 2; step++, rows += 2 * TILE_FLOATS, left += HIGH * TILE_FLOATS) {
      to.late.step();
      QD_TILE_FENCE;
      QD_TILE(loadd)(6, rows, ROW_BYTES);
      QD_TILE(loadd)(4, left, ROW_BYTES);
      QD_TILE(dpbf16ps)(0, 4, 6);
      decodeNext();
      if (HIGH == 1) continue;
      QD_TILE(loadd)(5, left + TILE_FLOATS, ROW_BYTES);
      QD_TILE(dpbf16ps)(2, 5, 6);
      decodeNext();
    }
  }
}

// Whole steps of a dense bf16 weight whose rows are the columns; the columns after these are prefetched.
template <int HIGH>
void addDenseRows(const Columns& b, const Part& part, const FewColumns& to, const float* rows) {
  const BFloat16* first = b.bf16 + to.column * b.stride + part.k;
  const Size rowBytes = b.stride * sizeof(BFloat16);
  const char* ahead = bytesFrom(first, PANEL * rowBytes);
  const auto each = [&] {
    to.late.step();
    for (Size line = 0; line < PANEL; line++) __builtin_prefetch(ahead + line * rowBytes, 0, 2);
    ahead += ROW_BYTES;
  };
  addTileProducts<HIGH, 1, Stream::left>({first, rowBytes, AMX_ROWS * rowBytes, ROW_BYTES}, rowsOfA(rows),
                                         part.depth / 2, each);
}

// `rows`: the packed rows of A at the beginning of the part. `isFirst`: of the job's first term.
template <int HIGH>
void addPart(const Part& part, bool isFirst, const FewColumns& to, const float* rows) {
  const Columns& b = part.placed->term.b;
  if (isFirst && !b.dense() && b.packed.hasRuns() && part.depth % RUN == 0)
    return addRuns<HIGH>(b.packed, part, to, rows);
  if (b.bf16 && b.transposed && part.depth % (2 * AMX_WORDS) == 0 && to.columns == HIGH * AMX_ROWS)
    return addDenseRows<HIGH>(b, part, to, rows);
  const auto pack = b.dense() ? packDenseStripes : packNf4Stripes;
  pack(b, to.column, to.columns, part.k, part.depth, to.room);
  QD_TILE_FENCE;
  addPacked<HIGH>(to.room, rows, wordsOf(part.depth, true), [&] { to.late.step(); });
}

// Adds the tiles to sums of earlier blocks, or writes them there.
template <int HIGH>
void keepSums(float* sums, bool areAdded, LateRows& late) {
  late.finish();  // it may be of sums that stood here
  if (!areAdded) {
    storeTiles<HIGH, 1>(sums, SUM_BYTES);
    QD_TILE_FENCE;
    return;
  }
  alignas(64) float block[PANEL * PANEL];
  storeTiles<HIGH, 1>(block, SUM_BYTES);
  QD_TILE_FENCE;
  for (Size i = 0; i < HIGH * AMX_ROWS * PANEL; i += PANEL) store(sums + i, load(block + i) + load(sums + i));
}

template <int HIGH>
void multiplyColumns(const Job& job, int first, const RowBlock& block, const FewColumns& columns,
                     const float* packed, float* sums) {
  const Destination& to = job.product.to;
  const bool isAdded = first > 0;
  LateRows& late = columns.late;
  DepthBlocks blocks(job, first);
  Part parts[MOST_TERMS];
  bool hasSums = false;
  for (int count = blocks.next(parts); count > 0; count = blocks.next(parts)) {
    QD_TILE_FENCE;
    if (!hasSums && firstStart(to, true, isAdded) == Start::bias)
      loadBiasAcross<HIGH, 1>(to.bias + columns.column, columns.columns, late.room());
    else
      clearTiles<HIGH, 1>();
    for (int i = 0; i < count; i++) {
      const Placed& placed = *parts[i].placed;
      const float* rows = packed + placed.before * block.height + wordsOf(parts[i].k, true) * PANEL;
      addPart<HIGH>(parts[i], &placed == &job.terms[first], columns, rows);
    }
    if (!blocks.isAtEnd()) {
      keepSums<HIGH>(sums, hasSums, late);
      hasSums = true;
      continue;
    }
    const Size at = block.begin * to.stride + columns.column;
    storeTiles<HIGH, 1>(late.room(), SUM_BYTES);
    QD_TILE_FENCE;
    late.hand({hasSums ? sums : nullptr, PANEL, to.half ? nullptr : to.data + at,
               to.half ? to.half + at : nullptr, to.stride, false, true, to.add || isAdded, columns.columns},
              block.rows);
  }
}

}  // namespace

void multiplyFewAcross(const Job& job, int first, const RowBlock& block, Range panels, const float* packed,
                       const Room& room) {
  const ScaleReader scales(job.terms[first].term.b.packed);
  for (Size panel = panels.begin; panel < panels.end; panel++) {
    const Size column = panel * PANEL;
    const FewColumns columns{column, smaller(PANEL, job.product.n - column), scales, room.panels, *room.late};
    (columns.columns > AMX_ROWS ? multiplyColumns<2> : multiplyColumns<1>)(job, first, block, columns, packed,
                                                                           room.sums);
  }
}
#else
void multiplyFewAcross(const Job&, int, const RowBlock&, Range, const float*, const Room&) {}
#endif

}  // namespace qdylora::QD_LEVEL
