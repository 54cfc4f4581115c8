#pragma once
#include "../amx.h"
#include "nf4-weight.h"

// Sizes of the blocked product C[m × n] = A[m × k] · B[k × n]. Names: a tile = ROWS × PANEL floats of C in
// registers; a panel = PANEL columns of B, packed [depth][PANEL]; a stripe = the rows of one tile of A,
// packed [depth][rows]: all of a term's depth, one stripe after the other. A packed word is one float or, in
// a product of bf16 numbers on a level that multiplies pairs, two steps of the depth: `wordsOf` counts words,
// everything else counts steps. On a level with AMX a product of pairs is cut for its registers: stripes of
// 32 rows [words / 16][rows][16 words], filled up with zeros to 16 rows and to 16 words a term.
namespace qdylora::QD_LEVEL {

// Registers: 2 per row for C, 2 for B, 1 broadcast. 6 × 2 + 3 of 16 (AVX2, SSE2), 14 × 2 + 3 of 32 (AVX-512).
constexpr Size TILE_ROWS = WIDTH == 16 ? 14 : 6;
constexpr Size PANEL = 2 * WIDTH;
// Up to so many rows a product reads B without panels.
constexpr Size FEW_ROWS = 4;
// So few rows share a 4-bit matrix that it is decoded to levels and the sums of its runs are scaled (2048² in
// caches, one thread: 5 rows −24 %, 8 −17 %, 16 −9 %, 32 −3 %, 40 0; all products of prompts of
// SmolLM2-135M: 8 tokens −10 %, 16 −6 %, 32 −3 %; Zen 4, 2026). Stripes have so many rows because their
// sums and the sums of a run have to fit into registers.
constexpr Size SCALED_ROWS = 7;
constexpr Size MOST_SCALED_ROWS = 32;
// Rows of a stripe whose words are `pairs`, and the unit that they are filled up to.
QD_INLINE constexpr bool fillsTiles(bool pairs) { return AMX_TILES && pairs; }
QD_INLINE constexpr Size stripeRows(bool pairs) { return fillsTiles(pairs) ? 2 * AMX_ROWS : TILE_ROWS; }
QD_INLINE constexpr Size rowUnit(bool pairs, bool across) {
  return !fillsTiles(pairs) ? 1 : across ? PANEL : AMX_ROWS;
}
// One panel of one depth block stays in the first-level cache (24 KiB of 32) while all stripes pass by; 384
// beats 256 and 512 by 2 % (Zen 3, 2026).
// 14 rows per load bear a panel from the second level (512: Zen 4, 2026, on the prototype).
constexpr Size DEPTH_BLOCK = WIDTH == 16 ? 512 : 384;
// Panels that are packed together: 96 KiB (AVX2) or 256 KiB (AVX-512) of the second-level cache.
constexpr Size GROUP_PANELS = 4;
// Stripes that pass together over one group, so that they come from the second-level cache for every panel
// but the first: 216 KiB (AVX2). 42 stripes of half a depth block were slower (−1 %, Zen 4, 2026).
constexpr Size GROUP_STRIPES = 24;
QD_INLINE constexpr Size groupStripes(bool pairs) { return fillsTiles(pairs) ? 8 : GROUP_STRIPES; }
QD_INLINE constexpr Size groupPanels(bool pairs) { return fillsTiles(pairs) ? 9 : GROUP_PANELS; }
// What a panel may hold at most of a depth that would leave a small rest: a block of the depth costs another
// walk over C. In tiles a panel of 32 KiB leaves the first level room for C.
constexpr Size MOST_WORDS = DEPTH_BLOCK + 64;
QD_INLINE constexpr Size mostWords(bool pairs) { return fillsTiles(pairs) ? 320 : MOST_WORDS; }
// Packed rows of A: at most so many floats at a time, which fit into the third-level cache, and rows.
constexpr Size ROW_UNIT = AMX_TILES ? 2 * AMX_ROWS : 1;
constexpr Size PACKED_FLOATS = Size{4} << 20;
constexpr Size MOST_ROWS = 1024;
constexpr Size LEAST_ROWS = AMX_TILES ? 128 : 8 * TILE_ROWS;

// Packed rows of a thread that take more than this do not stay in its second level (2 MiB), and the third
// gives 29 GB/s: they are prefetched (Granite Rapids, 2026).
constexpr Size PREFETCHED_FLOATS = Size{1} << 18;

QD_INLINE constexpr Size divideUp(Size a, Size b) { return (a + b - 1) / b; }
QD_INLINE constexpr Size roundUp(Size a, Size b) { return divideUp(a, b) * b; }

QD_INLINE constexpr Size wordsOf(Size depth, bool pairs) {
  return fillsTiles(pairs) ? roundUp(divideUp(depth, 2), AMX_WORDS) : pairs ? divideUp(depth, 2) : depth;
}

// Stripe i of `tiles` over `rows` rows: lengths differ by at most one (32 rows = 6 6 5 5 5 5), but all except
// the last fill tiles.
QD_INLINE Range tileRows(Size rows, Size tiles, Size i, bool pairs) {
  if (fillsTiles(pairs)) return {i * stripeRows(pairs), smaller(rows, (i + 1) * stripeRows(pairs))};
  const Size length = rows / tiles;
  const Size longer = rows % tiles;
  const Size begin = i * length + smaller(i, longer);
  return {begin, begin + length + (i < longer)};
}

// What filling up the depth of every term of a product to whole tiles adds at most.
constexpr Size MOST_TERMS = 6;
constexpr Size FILLED_WORDS = AMX_TILES ? MOST_TERMS * AMX_WORDS : 0;

// Floats of the packed rows of a product, where a row takes `words`. Grows with m and with the words.
QD_INLINE Size stripesFloats(Size m, Size words) {
  return roundUp(
      smaller(smaller(roundUp(m, ROW_UNIT), MOST_ROWS) * words, larger(PACKED_FLOATS, LEAST_ROWS * words)) +
          WIDTH,
      16);
}
constexpr Size GROUP_FLOATS = PANEL * larger(GROUP_PANELS * MOST_WORDS, groupPanels(true) * mostWords(true));
// Panels of levels have a vector of scales for every run; its words are two weights each.
constexpr Size RUN_WORDS = RUN / 2;
constexpr Size SCALES_FLOATS = GROUP_FLOATS / RUN_WORDS;
// Sums that are not whole yet, of a C in bf16: the columns of a group of panels.
constexpr Size GROUP_COLUMNS = PANEL * larger(GROUP_PANELS, groupPanels(true));
QD_INLINE Size sumsFloats(Size m) { return smaller(roundUp(m, ROW_UNIT), MOST_ROWS) * GROUP_COLUMNS; }
// Few rows are packed by every thread for itself: it waits for no other, and its stores meet no line that
// another core has read (2048² on two threads: 32 rows −2 to −8 %, 128 −1 to −6 %; Zen 4, 2026). So many
// floats at most are packed more than once; not on levels with tiles, where it has not been measured.
constexpr Size COPIED_FLOATS = AMX_TILES ? 0 : Size{9} << 14;
// Floats of scratch for a product on `threads` threads: packed A, then one group of panels per thread, and
// its sums where C is in bf16. The scratch of a product holds any smaller one.
QD_INLINE Size productScratch(Size m, Size depth, int threads) {
  const Size stripes = stripesFloats(m, depth + FILLED_WORDS);
  const Size count = static_cast<Size>(threads);
  return stripes + smaller((count - 1) * stripes, COPIED_FLOATS) +
         (GROUP_FLOATS + SCALES_FLOATS + sumsFloats(m)) * count;
}

}  // namespace qdylora::QD_LEVEL
