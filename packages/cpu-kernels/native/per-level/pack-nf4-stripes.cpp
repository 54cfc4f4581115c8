// Computes: rows of a 4-bit matrix as stripes for tiles, [words / 16][rows, filled up to 16][16 words] of
//   pairs of bf16 numbers, decoded while they are packed.
// Owners: the caller's thread owns the stripes. Lanes are columns, so a run of a row shares one scaled table
//   of bf16 numbers, and a look-up in lanes of 16 bits finds 32 weights.
// Cost: 0.52 bytes read and 2 written per weight. Per 64 weights 1 scaling, 1 rounding, 2 shifts, 4 shuffles
//   and 2 stores: two thirds of the time of rows that become columns of a panel (pack-nf4-panels.cpp), which
//   are scaled weight by weight.
// Assumes: runs of 64 columns that share a scale (hasRuns); other matrices are decoded element by element.
// Dropped: two rows from one table of 32: the same, since the stores are the limit (Granite Rapids, 2026).
#include "../gemm/columns.h"
#include "../gemm/nf4-row.h"

namespace qdylora::QD_LEVEL {

#if defined(QD_TILES)
namespace {

void packRuns(const Nf4Weight& w, const ScaleReader& reader, Size row0, Size rows, Size run0, Size runs,
              float* out) {
  const Size height = roundUp(rows, AMX_ROWS);
  const Size tile = AMX_WORDS * height;
  const F32x levels = load(w.levels);
  float scales[MOST_RUNS][PANEL];
  reader.read(row0, rows, run0, runs, scales);
  for (Size i = 0; i < runs; i++, out += 2 * tile)
    decodeRows(w.runCodes(row0, run0 + i), w.rowStride(), levels, scales[i], rows, height, out, out + tile);
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
