// Computes: rows of a 4-bit matrix as stripes for tiles, [words / 16][rows, filled up to 16][16 words] of
//   pairs of bf16 numbers, decoded while they are packed.
// Owners: the caller's thread owns the stripes. Lanes are columns, so a run of a row shares one scaled table
//   of bf16 numbers, and a look-up in lanes of 16 bits finds 32 weights.
// Cost: 0.52 bytes read and 2 written per weight. Per 64 weights 1 scaling, 1 rounding, 1 shift, 5 shuffles
//   and 2 stores: two thirds of the time of rows that become columns of a panel (pack-nf4-panels.cpp), which
//   are scaled weight by weight.
// Assumes: runs of 64 columns that share a scale (hasRuns); other matrices are decoded element by element.
// Dropped: two rows from one table of 32: the same, since the stores are the limit (Granite Rapids, 2026).
#include "../gemm/columns.h"
#include "../gemm/nf4-runs.h"

namespace qdylora::QD_LEVEL {

#if defined(QD_TILES)
namespace {

constexpr Size RUN_TILES = RUN / (2 * AMX_WORDS);
static_assert(RUN_TILES == 2, "a run fills a row of two tiles");

// A run of a row, 32 bytes of codes: columns 0 … 31 to `low`, the others to `high`.
QD_INLINE void decodeRun(const std::uint8_t* codes, F32x levels, float scale, float* low, float* high) {
#if defined(__AVX512BF16__) && QD_WIDTH == 16
  const __m512 scaled = (__m512)levels * _mm512_set1_ps(scale);
  I32x first, second;
  lookUpRun(codes, (__m512i)_mm512_cvtne2ps_pbh(scaled, scaled), first, second);
  storeI32(low, first);
  storeI32(high, second);
#else
  float scaled[WIDTH];
  store(scaled, levels * scale);
  const Table16 table(scaled);
  const auto pairs = [&](Size from) {
    return pairsToBf16(decodeAlong(table, codes + from / 2), decodeAlong(table, codes + (from + WIDTH) / 2));
  };
  storeI32(low, pairs(0));
  storeI32(high, pairs(2 * WIDTH));
#endif
}

void packRuns(const Nf4Weight& w, const ScaleReader& reader, Size row0, Size rows, Size run0, Size runs,
              float* out) {
  const Size height = roundUp(rows, AMX_ROWS);
  const Size tile = height * AMX_WORDS;
  const Size stride = w.rowStride();
  const F32x levels = load(w.levels);
  float scales[MOST_RUNS][PANEL];
  reader.read(row0, rows, run0, runs, scales);
  for (Size i = 0; i < runs; i++) {
    const std::uint8_t* codes = w.runCodes(row0, run0 + i);
    float* low = out + i * RUN_TILES * tile;
    float* high = low + tile;
#pragma GCC unroll 4
    for (Size r = 0; r < rows; r++, codes += stride, low += AMX_WORDS, high += AMX_WORDS)
      decodeRun(codes, levels, scales[i][r], low, high);
    for (Size r = rows; r < height; r++, low += AMX_WORDS, high += AMX_WORDS) {
      store(low, F32x{});
      store(high, F32x{});
    }
  }
}

void packSlowly(const Nf4Weight& w, Size row0, Size rows, Size k0, Size depth, float* out) {
  const Size height = roundUp(rows, AMX_ROWS);
  for (Size i = 0; i < wordsOf(depth, true); i += AMX_WORDS) {
    for (Size r = 0; r < height; r++) {
      float row[2 * AMX_WORDS] = {};
      for (Size k = 2 * i; k < smaller(depth, 2 * (i + AMX_WORDS)) && r < rows; k++)
        row[k - 2 * i] = w.at(row0 + r, k0 + k);
      storeI32(out + i * height + r * AMX_WORDS, pairsToBf16(load(row), load(row + WIDTH)));
    }
  }
}

}  // namespace

void packNf4Stripes(const Columns& b, Size column0, Size columns, Size k0, Size depth, float* out) {
  const Nf4Weight& w = b.packed;
  const bool fast = w.hasRuns() && k0 % RUN == 0 && depth % RUN == 0;
  const ScaleReader reader(w);
  for (Size p = 0; p < columns; p += PANEL, out += PANEL * wordsOf(depth, true)) {
    const Size rows = smaller(PANEL, columns - p);
    if (fast)
      packRuns(w, reader, column0 + p, rows, k0 / RUN, depth / RUN, out);
    else
      packSlowly(w, column0 + p, rows, k0, depth, out);
  }
}
#else
void packNf4Stripes(const Columns&, Size, Size, Size, Size, float*) {}
#endif

}  // namespace qdylora::QD_LEVEL
