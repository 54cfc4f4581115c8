#pragma once
#include "blocking.h"

// Runs of RUN columns of a 4-bit matrix in registers, whatever the arrangement of its bytes.
namespace qdylora::QD_LEVEL {

// Runs in the longest depth block.
constexpr Size MOST_RUNS = 2 * MOST_WORDS / RUN;

// Reads the scales of one weight; to be made once for many reads, since what it looks codes up in is made
// ready first.
class ScaleReader {
 public:
  explicit ScaleReader(const Nf4Weight& weight);
  // Scales of PANEL rows (0 from `rows` on) in `count` runs that follow each other: out[run][row].
  void read(Size row0, Size rows, Size run0, Size count, float (*out)[PANEL]) const;

 private:
  const Nf4Weight w;
  // byte i of every entry of the map, on levels that look up by permutations of bytes
  alignas(64) std::uint8_t planes[4][256];
};

// The 32 bytes of WIDTH rows as 8 words per lane: words[i], lane r = bytes 4i … 4i + 3 of row r. Rows from
// `rows` on repeat the last one.
QD_INLINE void readTransposed(const std::uint8_t* first, Size stride, Size rows, I32x (&words)[8]) {
  const auto row = [&](Size r) { return first + smaller(r, rows - 1) * stride; };
#if defined(__AVX512F__) && QD_WIDTH == 16
  // Rows r and r + 8 share a register; words change places within its quarters, then the quarters.
  __m512i a[8], b[8];
  const bool whole = rows == WIDTH;
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) {
    const std::uint8_t *low = whole ? first + i * stride : row(i),
                       *high = whole ? first + (i + 8) * stride : row(i + 8);
    a[i] =
        _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(low))),
                           _mm256_loadu_si256(reinterpret_cast<const __m256i*>(high)), 1);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
    b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++) {
      a[i + 2 * j] = _mm512_unpacklo_epi64(b[i + j], b[i + 2 + j]);
      a[i + 2 * j + 1] = _mm512_unpackhi_epi64(b[i + j], b[i + 2 + j]);
    }
  }
  const __m512i low = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
  const __m512i high = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    words[i] = (I32x)_mm512_permutex2var_epi64(a[i], low, a[4 + i]);
    words[4 + i] = (I32x)_mm512_permutex2var_epi64(a[i], high, a[4 + i]);
  }
#else
  constexpr Size PER_LOAD = WIDTH < 8 ? WIDTH : 8;  // words of a row that fit a register
  for (Size from = 0; from < 8; from += PER_LOAD) {
    I32x square[WIDTH];
#pragma GCC unroll 16
    for (Size r = 0; r < WIDTH; r++) {
      if constexpr (WIDTH > 8) {
        square[r] = I32x{};
        __builtin_memcpy(&square[r], row(r), 32);
      } else
        square[r] = loadI32(row(r) + 4 * from);
    }
    transpose(square);
    for (Size i = 0; i < PER_LOAD; i++) words[from + i] = square[i];
  }
#endif
}

// Prefetches the tile two runs after run i of a panel's `runs`, or of the panel below: the hardware sees too
// late that one tile follows another, and not at all where the next panel begins.
QD_INLINE void prefetchAhead(const Nf4Weight& w, Size row0, Size run0, Size i, Size runs) {
  constexpr Size AHEAD = 2;
  if (!w.tiled) return;
  const std::uint8_t* tile =
      i + AHEAD < runs
          ? w.runCodes(row0, run0 + i + AHEAD)
          : w.runCodes(smaller(row0 + PANEL, (w.rows - 1) / PANEL * PANEL), run0 + i + AHEAD - runs);
  prefetchTile<3>(tile);
}

// WIDTH consecutive weights at p, decoded: their table already holds the scale.
QD_INLINE F32x decodeAlong(const Table16& table, const std::uint8_t* p) {
#if defined(__AVX512F__) && QD_WIDTH == 16
  const __m512i pick = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
  const __m512i shift = _mm512_setr_epi32(4, 0, 12, 8, 20, 16, 28, 24, 4, 0, 12, 8, 20, 16, 28, 24);
  const __m512i words = _mm512_permutexvar_epi32(
      pick, _mm512_castsi128_si512(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  return table.at((I32x)_mm512_srlv_epi32(words, shift));
#elif QD_WIDTH == 4
  std::uint16_t word;
  __builtin_memcpy(&word, p, 2);
  return table.at(allI32(word) >> I32x{4, 0, 12, 8});
#elif QD_WIDTH == 8
  std::int32_t word;
  __builtin_memcpy(&word, p, 4);
  return table.at(allI32(word) >> I32x{4, 0, 12, 8, 20, 16, 28, 24});
#else
  std::int32_t low, high;
  __builtin_memcpy(&low, p, 4);
  __builtin_memcpy(&high, p + 4, 4);
  const I32x words = {low, low, low, low, low, low, low, low, high, high, high, high, high, high, high, high};
  return table.at(words >> I32x{4, 0, 12, 8, 20, 16, 28, 24, 4, 0, 12, 8, 20, 16, 28, 24});
#endif
}

#if defined(__AVX512BW__) && QD_WIDTH == 16
// 64 consecutive weights from 32 bytes of codes, as the bf16 numbers of `table`: all 16 of them twice, since
// bit 4 of an index is another weight's.
QD_INLINE void lookUpRun(const std::uint8_t* codes, __m512i table, I32x& low, I32x& high) {
  // Bytes in such an order that the even and the odd weights, side by side in every quarter, come out in
  // theirs.
  const __m256i ordered = _mm256_permutevar8x32_epi32(
      _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes)), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  const __m512i bytes = _mm512_cvtepu8_epi16(ordered);
  const __m512i even = _mm512_permutexvar_epi16(_mm512_srli_epi16(bytes, 4), table);
  const __m512i odd = _mm512_permutexvar_epi16(bytes, table);
  low = (I32x)_mm512_unpacklo_epi16(even, odd);
  high = (I32x)_mm512_unpackhi_epi16(even, odd);
}
#endif

}  // namespace qdylora::QD_LEVEL
