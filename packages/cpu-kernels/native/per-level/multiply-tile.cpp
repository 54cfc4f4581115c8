// Computes: one tile of C (+)= stripe · panel: `rows` × PANEL sums in registers over one block of the depth.
// Owners: the caller's thread owns the tile; a lane is a column. The rows of A are broadcast one by one; the
//   two vectors of the panel are loaded once per step. A step is one number, or a pair of bf16 numbers.
// Cost: per step 2·rows FMA, `rows` broadcasts and 2 loads. 6 rows (AVX2): 12 FMA in 6 cycles, 98 % of the
//   FMA peak with operands in the first-level cache (Zen 3, 2026).
// Assumes: stripes and panels packed as gemm/blocking.h says. Sums run over the depth in order, one
//   accumulator per element, so tiles of any height give the same bits.
// Kept: a C that is added to is prefetched, since it may be in the third level (a head and its loss −6 %, a
//   gradient 2,048 deep −2 %, elsewhere −1 % to 0). A C in bf16 is rounded from the registers and, where it
//   is large, goes past the caches (gate and up together −5 %, a step of SmolLM2-135M −4 %, against another
//   walk over the sums of a group). bf16 rows that are not packed (groups of SmolLM2 with 512 and 2,048 rows
//   −1 to −5 %, its down projection −4 to −12 %, q, k and v with 32 rows −7 to −10 %). All Zen 4, 2026.
// Dropped: depth blocks of 192, 256, 512 (−2 to −4 % speed, Zen 3, 2026); 8, 12 or 16 stripes together
//   instead of 24 (0, Zen 4, 2026).
#include "../gemm/tile.h"

namespace qdylora::QD_LEVEL {
namespace {

constexpr Size AHEAD = 16;

// VECTORS: of the panel's two, those that hold columns of C.

// One step of the depth; at(m): the word of row m.
template <bool PAIRS, int ROWS, int VECTORS, class At>
QD_INLINE void addStep(F32x (&c)[ROWS][VECTORS], const float* panel, const At& at) {
  F32x columns[VECTORS];
#pragma GCC unroll 2
  for (int v = 0; v < VECTORS; v++) columns[v] = load(panel + v * WIDTH);
  // a panel of 64 KiB comes from the second level
  if (WIDTH == 16)
    for (int v = 0; v < VECTORS; v++) __builtin_prefetch(panel + AHEAD * PANEL + v * WIDTH);
#pragma GCC unroll 16
  for (int m = 0; m < ROWS; m++) {
    const F32x one = all(at(m));
#pragma GCC unroll 2
    for (int v = 0; v < VECTORS; v++)
      c[m][v] = PAIRS ? addPairs(c[m][v], asI32(one), asI32(columns[v])) : fma(one, columns[v], c[m][v]);
  }
}

// The rows of a segment, step by step: packed,
template <int ROWS>
struct PackedRows {
  const float* at;
  QD_INLINE explicit PackedRows(const DepthSegment& s) : at(s.stripe) {}
  QD_INLINE float operator()(int m) const { return at[m]; }
  QD_INLINE void next() { at += ROWS; }
};
// or unpacked: one pointer for every three of them, since an address may add a distance once or twice.
template <int ROWS>
struct UnpackedRows {
  static constexpr int POINTERS = (ROWS + 2) / 3;
  const float* at[POINTERS];
  Size apart;
  QD_INLINE explicit UnpackedRows(const DepthSegment& s) : apart(s.rowWords) {
#pragma GCC unroll 5
    for (int i = 0; i < POINTERS; i++) at[i] = s.stripe + static_cast<Size>(3 * i) * apart;
  }
  QD_INLINE float operator()(int m) const { return at[m / 3][static_cast<Size>(m % 3) * apart]; }
  QD_INLINE void next() {
#pragma GCC unroll 5
    for (int i = 0; i < POINTERS; i++) at[i]++;
  }
};

template <int ROWS, int VECTORS>
QD_INLINE void clear(F32x (&c)[ROWS][VECTORS]) {
#pragma GCC unroll 16
  for (int m = 0; m < ROWS; m++)
    for (int v = 0; v < VECTORS; v++) c[m][v] = F32x{};
}

template <bool PAIRS, int ROWS, int VECTORS, class Rows>
QD_INLINE void addSteps(F32x (&c)[ROWS][VECTORS], Rows& rows, const float* panel, Size words) {
  for (; words > 0; words--, panel += PANEL) {
    addStep<PAIRS>(c, panel, rows);
    rows.next();
  }
}

// A panel of levels: the sums of every run times the run's scales.
template <bool PAIRS, int ROWS, int VECTORS, class Rows>
QD_INLINE void addScaledRuns(F32x (&c)[ROWS][VECTORS], Rows& rows, const DepthSegment& segment) {
  const float* panel = segment.panel;
  const float* scales = segment.scales;
  for (Size left = segment.words; left > 0; left -= RUN_WORDS, panel += RUN_WORDS * PANEL, scales += PANEL) {
    F32x ofRun[ROWS][VECTORS];
    clear(ofRun);
    addSteps<PAIRS>(ofRun, rows, panel, RUN_WORDS);
#pragma GCC unroll 2
    for (int v = 0; v < VECTORS; v++) {
      const F32x scale = load(scales + v * WIDTH);
#pragma GCC unroll 16
      for (int m = 0; m < ROWS; m++) c[m][v] = fma(ofRun[m][v], scale, c[m][v]);
    }
  }
}

template <bool PAIRS, int ROWS, int VECTORS, class Rows>
QD_INLINE void addSegment(F32x (&c)[ROWS][VECTORS], Rows rows, const DepthSegment& segment) {
  if constexpr (PAIRS && VECTORS == 2 && ROWS <= static_cast<int>(SCALED_ROWS))
    if (segment.scales) return addScaledRuns<PAIRS>(c, rows, segment);
  addSteps<PAIRS>(c, rows, segment.panel, segment.words);
}

// Adds what the tile starts from, then writes the sums, or, where they are whole and C is in bf16, rounds
// them into it. WHOLE: all lanes are columns of C.
template <bool WHOLE, int ROWS, int VECTORS>
QD_INLINE void finishTile(const TileTask& task, F32x (&c)[ROWS][VECTORS]) {
  const auto existing = [&task](int v) {
    return WHOLE ? WIDTH : smaller(WIDTH, static_cast<int>(task.columns) - v * WIDTH);
  };
  const Finished& to = task.to;
#pragma GCC unroll 16  // indices known at compile time keep c in registers: no copy on the stack
  for (int m = 0; m < ROWS; m++) {
    float* const row = task.c + static_cast<Size>(m) * task.stride;
    const float* const from = task.start == Start::add ? row : task.bias;
#pragma GCC unroll 2
    for (int v = 0; v < VECTORS; v++) {
      if (task.start != Start::overwrite) c[m][v] += loadFirst(from + v * WIDTH, existing(v));
      if (!to.half) storeFirst(row + v * WIDTH, c[m][v], existing(v));
    }
    if (!to.half) continue;
    BFloat16* const half = to.half + static_cast<Size>(m) * to.stride;
    if (WHOLE && VECTORS == 2 && !to.add) {
      storeLine(half, pairsToBf16(c[m][0], c[m][VECTORS - 1]), to.past);
      continue;
    }
#pragma GCC unroll 2
    for (int v = 0; v < VECTORS; v++)
      storeFirst(half + v * WIDTH, to.add ? c[m][v] + loadFirst(half + v * WIDTH, existing(v)) : c[m][v],
                 existing(v));
  }
}

template <int ROWS, bool PAIRS, int VECTORS>
__attribute__((noinline)) void multiplyRows(const TileTask& task) {
  F32x c[ROWS][VECTORS];
  clear(c);
  for (int m = 0; m < ROWS && task.start == Start::add; m++)
    for (int v = 0; v < VECTORS; v++)
      __builtin_prefetch(task.c + static_cast<Size>(m) * task.stride + v * WIDTH, 1);
  for (int s = 0; s < task.count; s++) {
    const DepthSegment& segment = task.segments[s];
    if (PAIRS && segment.rowWords)
      addSegment<PAIRS>(c, UnpackedRows<ROWS>(segment), segment);
    else
      addSegment<PAIRS>(c, PackedRows<ROWS>(segment), segment);
  }
  if (task.columns == VECTORS * WIDTH)
    finishTile<true>(task, c);
  else
    finishTile<false>(task, c);
}

template <bool PAIRS, int VECTORS>
QD_INLINE void multiplyAs(Size rows, const TileTask& task) {
  switch (rows) {
    case 1:
      multiplyRows<1, PAIRS, VECTORS>(task);
      break;
    case 2:
      multiplyRows<2, PAIRS, VECTORS>(task);
      break;
    case 3:
      multiplyRows<3, PAIRS, VECTORS>(task);
      break;
    case 4:
      multiplyRows<4, PAIRS, VECTORS>(task);
      break;
    case 5:
      multiplyRows<5, PAIRS, VECTORS>(task);
      break;
    case 6:
      multiplyRows<6, PAIRS, VECTORS>(task);
      break;
#if QD_WIDTH == 16
    case 7:
      multiplyRows<7, PAIRS, VECTORS>(task);
      break;
    case 8:
      multiplyRows<8, PAIRS, VECTORS>(task);
      break;
    case 9:
      multiplyRows<9, PAIRS, VECTORS>(task);
      break;
    case 10:
      multiplyRows<10, PAIRS, VECTORS>(task);
      break;
    case 11:
      multiplyRows<11, PAIRS, VECTORS>(task);
      break;
    case 12:
      multiplyRows<12, PAIRS, VECTORS>(task);
      break;
    case 13:
      multiplyRows<13, PAIRS, VECTORS>(task);
      break;
    case 14:
      multiplyRows<14, PAIRS, VECTORS>(task);
      break;
#endif
    default:
      __builtin_unreachable();
  }
}

// Few columns (an adapter of rank 16): half the work.
template <bool PAIRS>
QD_INLINE void multiplyColumns(Size rows, const TileTask& task) {
  if (task.columns <= WIDTH)
    multiplyAs<PAIRS, 1>(rows, task);
  else
    multiplyAs<PAIRS, 2>(rows, task);
}

}  // namespace

void multiplyTile(Size rows, const TileTask& task) {
  if (fillsTiles(task.pairs)) return multiplyAmxTiles(rows, task);
  if (BF16_PAIRS && task.pairs)
    multiplyColumns<true>(rows, task);
  else
    multiplyColumns<false>(rows, task);
}

}  // namespace qdylora::QD_LEVEL
