#pragma once
#include "blocking.h"
#include "nf4-weight.h"
#include "pack-rows.h"

// The B operand: packed into panels [depth][PANEL], from a dense matrix or a 4-bit one that is decoded on the
// way; columns that do not exist are zeros.
namespace qdylora::QD_LEVEL {

// What a packed word is: an unchanged float, a float that is a bf16 number, or two of those from
// consecutive steps of the depth.
enum class Form { plain, rounded, pairs };

struct Columns {
  const float* f32;  // dense: one of these two is set
  const BFloat16* bf16;
  Nf4Weight packed;  // else this
  Size stride;       // of the dense matrix
  bool transposed;   // false: B(k, n) = W[k][n]; true: B(k, n) = W[n][k]
  bool round;        // each element is rounded to bf16

  QD_INLINE bool dense() const { return f32 || bf16; }
  // Its words where they are not pairs: a bf16 number needs no rounding.
  QD_INLINE Form single() const { return round && !bf16 ? Form::rounded : Form::plain; }
};

// B = Wᵀ for a weight W: [out, in]: its rows become columns (forward).
QD_INLINE Columns rowsAsColumns(const float* f32, const BFloat16* bf16, Size stride, bool round = false) {
  return {f32, bf16, {}, stride, true, round};
}
QD_INLINE Columns rowsAsColumns(const Nf4Weight& w, bool round) {
  return {nullptr, nullptr, w, 0, true, round};
}
// B = the matrix itself, not transposed (input gradients; x in weight gradients).
QD_INLINE Columns columnsOf(const float* f32, const BFloat16* bf16, Size stride, bool round = false) {
  return {f32, bf16, {}, stride, false, round};
}
QD_INLINE Columns columnsOf(const Nf4Weight& w, bool round) { return {nullptr, nullptr, w, 0, false, round}; }

// Columns [column0, column0 + columns), depth [k0, k0 + depth), as panels of PANEL · wordsOf(depth) words of
// one form.
void packDensePanels(const Columns& b, Form form, Size column0, Size columns, Size k0, Size depth,
                     float* out);
void packNf4Panels(const Columns& b, Form form, Size column0, Size columns, Size k0, Size depth, float* out);

// The same panels in pairs of the levels alone, of a tiled matrix whose rows are the columns, and what the
// sums of each run are to be multiplied by: scales[panel][run][PANEL]. Whole panels and runs.
void packNf4Levels(const Columns& b, Size column0, Size columns, Size k0, Size depth, float* out,
                   float* scales);

// Prefetches, into the second level, share `share` of `shares` of what packNf4Levels will read. Memory rests
// while columns are multiplied, and the tiles right ahead, which packNf4Levels prefetches itself, come too
// late from there (prompts of SmolLM2-135M, whose weights stay in no cache, all products: 8 tokens −11 %, 16
// −8 %, 32 −5 %; Zen 4, 2026).
QD_INLINE void prefetchLevels(const Nf4Weight& w, Size column0, Size columns, Size k0, Size depth, Size share,
                              Size shares) {
  const Size runs = depth / RUN;
  const Size tiles = divideUp(columns, TILE_HEIGHT) * runs;
  for (Size i = tiles * share / shares; i < tiles * (share + 1) / shares; i++) {
    const Size row = column0 + i / runs * TILE_HEIGHT;
    const Size run = k0 / RUN + i % runs;
    prefetchTile<2>(w.runCodes(row, run));
    if (!w.absmax) __builtin_prefetch(w.absmaxCodes + w.scalePlace(row, run), 0, 2);
  }
}

// The same columns as the rows of stripes, one of PANEL columns after the other, each of PANEL ·
// wordsOf(depth) words as packTileRows leaves them: for products with the operands in each other's place.
// A 4-bit matrix is transposed (its rows are the columns); the level has tiles.
void packNf4Stripes(const Columns& b, Size column0, Size columns, Size k0, Size depth, float* out);
QD_INLINE void packDenseStripes(const Columns& b, Size column0, Size columns, Size k0, Size depth,
                                float* out) {
  const Rows rows{b.f32, b.bf16, b.stride, !b.transposed, column0 + columns, b.round, 1.f};
  for (Size p = 0; p < columns; p += PANEL)
    packTileRows(rows, column0 + p, smaller(PANEL, columns - p), k0, depth, out + p * wordsOf(depth, true));
}

// Zeros behind the words of a depth that does not fill its tiles.
QD_INLINE void fillPanels(Form form, Size columns, Size depth, float* out) {
  const Size written = divideUp(depth, 2);
  const Size words = wordsOf(depth, true);
  if (!fillsTiles(form == Form::pairs) || written == words) return;
  for (Size p = 0; p < columns; p += PANEL, out += PANEL * words) {
    for (Size i = written * PANEL; i < words * PANEL; i += WIDTH) store(out + i, F32x{});
  }
}

}  // namespace qdylora::QD_LEVEL
