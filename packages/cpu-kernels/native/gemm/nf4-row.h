#pragma once
#include "nf4-runs.h"

// A run of one row of a 4-bit matrix as pairs of bf16 numbers: the rows of tiles.
namespace qdylora::QD_LEVEL {

#if defined(QD_TILES)
#if defined(__AVX512BF16__) && defined(__AVX512VBMI__) && QD_WIDTH == 16
// Half `half` of a run, 32 weights from 16 of its 32 bytes: byte i / 2 for weight i, then its nibble. Bit 4
// of an index is another weight's, so `table` holds its 16 numbers twice.
template <int HALF>
QD_INLINE I32x lookUpHalf(__m512i codes, __m512i table) {
  typedef char Bytes __attribute__((vector_size(64)));
  constexpr char AT = 16 * HALF;
  const Bytes spread = {
      AT,      AT,      AT,      AT,      AT + 1,  AT + 1,  AT + 1,  AT + 1,  AT + 2,  AT + 2,  AT + 2,
      AT + 2,  AT + 3,  AT + 3,  AT + 3,  AT + 3,  AT + 4,  AT + 4,  AT + 4,  AT + 4,  AT + 5,  AT + 5,
      AT + 5,  AT + 5,  AT + 6,  AT + 6,  AT + 6,  AT + 6,  AT + 7,  AT + 7,  AT + 7,  AT + 7,  AT + 8,
      AT + 8,  AT + 8,  AT + 8,  AT + 9,  AT + 9,  AT + 9,  AT + 9,  AT + 10, AT + 10, AT + 10, AT + 10,
      AT + 11, AT + 11, AT + 11, AT + 11, AT + 12, AT + 12, AT + 12, AT + 12, AT + 13, AT + 13, AT + 13,
      AT + 13, AT + 14, AT + 14, AT + 14, AT + 14, AT + 15, AT + 15, AT + 15, AT + 15};
  const __m512i indices =
      _mm512_srlv_epi16(_mm512_permutexvar_epi8((__m512i)spread, codes), _mm512_set1_epi32(4));
  return (I32x)_mm512_permutexvar_epi16(indices, table);
}
#endif

// A run of a row, 32 bytes of codes: columns 0 … 31 to `low`, the others to `high`.
QD_INLINE void decodeRun(const std::uint8_t* codes, F32x levels, float scale, float* low, float* high) {
#if defined(__AVX512BF16__) && defined(__AVX512VBMI__) && QD_WIDTH == 16
  const __m512 scaled = (__m512)levels * _mm512_set1_ps(scale);
  const __m512i table = (__m512i)_mm512_cvtne2ps_pbh(scaled, scaled);
  const __m512i bytes = _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes)));
  storeI32(low, lookUpHalf<0>(bytes, table));
  storeI32(high, lookUpHalf<1>(bytes, table));
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

// A run of `rows` rows that are `stride` bytes apart, as rows of tiles: columns 0 … 31 at `low`, the others
// at `high`, filled up to `height` rows by zeros.
QD_INLINE void decodeRows(const std::uint8_t* codes, Size stride, F32x levels, const float* scales, Size rows,
                          Size height, float* low, float* high) {
#pragma GCC unroll 4
  for (Size r = 0; r < rows; r++, codes += stride, low += AMX_WORDS, high += AMX_WORDS)
    decodeRun(codes, levels, scales[r], low, high);
  for (Size r = rows; r < height; r++, low += AMX_WORDS, high += AMX_WORDS) {
    store(low, F32x{});
    store(high, F32x{});
  }
}
#endif

}  // namespace qdylora::QD_LEVEL
