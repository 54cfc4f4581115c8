#pragma once
#include "late-rows.h"

// The innermost product: one tile of C stays in registers while a depth block passes by.
namespace qdylora::QD_LEVEL {

// What a tile does with the C that it finds.
enum class Start { overwrite, bias, add };

// What a tile reads of one part of the depth.
struct DepthSegment {
  const float* stripe;  // [words][rows], or tiles; with `rowWords`, the first of the unpacked rows
  const float* panel;   // [words][PANEL]
  Size words;
  const float* ahead;   // `aheadLines` cache lines for each step that another tile will read, or nullptr
  Size rowWords;        // how far apart rows are that were not packed; else 0
  const float* scales;  // [runs][PANEL] of a panel of levels, or nullptr
};

// C apart from the sums: neither set (the sums are C), or as floats or rounded.
struct Finished {
  float* f32;
  BFloat16* half;
  Size stride;
  bool add;   // to the numbers there
  bool past;  // past the caches: it is large, and its rows are whole cache lines
};
// Some whole sums of one row, on their way to `at` elements from where C begins.
QD_INLINE void finishRow(const Finished& to, Size at, const float* sums, Size columns) {
  for (Size n = 0; n < columns; n += WIDTH) {
    const int exist = static_cast<int>(smaller<Size>(WIDTH, columns - n));
    const F32x sum = loadFirst(sums + n, exist);
    if (to.half)
      storeFirst(to.half + at + n, to.add ? sum + loadFirst(to.half + at + n, exist) : sum, exist);
    else
      storeFirst(to.f32 + at + n, to.add ? sum + loadFirst(to.f32 + at + n, exist) : sum, exist);
  }
}
QD_INLINE Finished nowhere() { return {nullptr, nullptr, 0, false, false}; }

struct TileTask {
  const DepthSegment* segments;
  int count;
  bool pairs;  // a word is two bf16 numbers
  float* c;    // first element of the tile: C, or sums that are not whole yet
  Size stride;
  Finished to;   // where whole sums go instead
  Size columns;  // ≤ PANEL that exist in C
  Start start;
  const float* bias;  // of the tile's first column
  LateRows* late;     // the thread's
  Size aheadLines;
};

// 1 ≤ rows ≤ stripeRows(pairs). In tiles inside the life of a TileRegisters.
void multiplyTile(Size rows, const TileTask& task);
void multiplyAmxTiles(Size rows, const TileTask& task);
// The same with the operands swapped: a stripe of `task.columns` rows of Bᵀ, a panel of `rows`
// columns of Aᵀ, so that sums are in order [n][m]. `task.c`: [PANEL][PANEL] of them, of earlier blocks
// (`task.start` is Start::add) and for later ones, unless `task.to` is set.
void multiplyAcross(Size rows, const TileTask& task);

}  // namespace qdylora::QD_LEVEL
