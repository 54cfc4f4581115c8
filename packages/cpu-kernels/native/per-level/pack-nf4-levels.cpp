// Computes: packed panels of the levels of a 4-bit matrix in bf16, and their scales apart: where few rows
//   share them, sums are scaled instead of weights.
// Owners: the caller's thread owns the group of panels. A lane is a row of W, whose words are transposed in
//   registers. A word of the panel, two weights of that row, is looked up at once.
// Cost: per 32 weights, bits moved to the place of an index (AVX-512 VBMI), a look-up, a store and three
//   quarters of a step of the transpose: 30 G weights/s a core from the third level, twice the speed of
//   decoded weights (Zen 4, 2026).
// Assumes: a tiled matrix, whole panels of its rows and whole runs of its columns.
// Dropped: sums of 14 rows, which leave the registers at the end of every run (2048², 64 rows, one thread: +7
//   % time, Zen 4, 2026).
#include "../gemm/columns.h"
#include "../gemm/nf4-runs.h"

namespace qdylora::QD_LEVEL {
namespace {

static_assert(TILE_HEIGHT % PANEL == 0, "a panel's rows are in one tile");

// The levels as bf16 numbers, for two weights at once: those of byte BYTE of each lane.
struct LevelPairs {
#if defined(__AVX512BF16__) && defined(__AVX512VBMI__) && QD_WIDTH == 16
  __m512i table;  // twice, since bit 4 of an index is another weight's
  explicit QD_INLINE LevelPairs(const float* levels)
      : table((__m512i)pairsToBf16(load(levels), load(levels))) {}
  template <int BYTE>
  QD_INLINE I32x at(I32x words) const {
    // bits from which the bytes of two lanes are read
    constexpr long long HIGH = 8 * BYTE + 4, LOW = 8 * BYTE,
                        INDICES = HIGH | LOW << 16 | (HIGH + 32) << 32 | (LOW + 32) << 48;
    return (I32x)_mm512_permutexvar_epi16(
        _mm512_multishift_epi64_epi8(_mm512_set1_epi64(INDICES), (__m512i)words), table);
  }
#else
  Table16 table;
  explicit QD_INLINE LevelPairs(const float* levels) : table(levels) {}
  template <int BYTE>
  QD_INLINE I32x at(I32x words) const {
    return zipToBf16(table.at(words >> (8 * BYTE + 4)), table.at(words >> (8 * BYTE)));
  }
#endif
};

// A run of WIDTH rows: half the columns of a panel.
QD_INLINE void packHalf(const LevelPairs& levels, const std::uint8_t* codes, float* out) {
  I32x words[8];
  readTransposed(codes, RUN / 2, WIDTH, words);
#pragma GCC unroll 8
  for (int word = 0; word < 8; word++, out += 4 * PANEL) {
    storeI32(out, levels.at<0>(words[word]));
    storeI32(out + PANEL, levels.at<1>(words[word]));
    storeI32(out + 2 * PANEL, levels.at<2>(words[word]));
    storeI32(out + 3 * PANEL, levels.at<3>(words[word]));
  }
}

}  // namespace

void packNf4Levels(const Columns& b, Size column0, Size columns, Size k0, Size depth, float* out,
                   float* scales) {
  const Nf4Weight& w = b.packed;
  const ScaleReader scaleReader{w};
  const LevelPairs levels(w.levels);
  const Size run0 = k0 / RUN;
  const Size runs = depth / RUN;
  for (Size p = 0; p < columns; p += PANEL, scales += runs * PANEL) {
    const Size row0 = column0 + p;
    scaleReader.read(row0, PANEL, run0, runs, reinterpret_cast<float (*)[PANEL]>(scales));
    for (Size i = 0; i < runs; i++, out += RUN_WORDS * PANEL) {
      prefetchAhead(w, row0, run0, i, runs);
      const std::uint8_t* codes = w.runCodes(row0, run0 + i);
      packHalf(levels, codes, out);
      packHalf(levels, codes + WIDTH * RUN / 2, out + WIDTH);
    }
  }
}

}  // namespace qdylora::QD_LEVEL
