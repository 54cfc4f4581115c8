#pragma once
#include "lanes.h"

// Numbers in bfloat16: loads, stores, rounding, and products of pairs.
namespace qdylora::QD_LEVEL {

// bfloat16: exact widening, and rounding to the nearest even; NaN stays NaN.
QD_INLINE F32x loadBf16(const BFloat16* p) {
  return asF32(widen(*reinterpret_cast<const U16xUnaligned*>(p)) << 16);
}
QD_INLINE float fromBf16(BFloat16 half) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(half) << 16);
}
QD_INLINE F32x roundToBf16(F32x v) {
  const U32x bits = (U32x)v;
  const U32x rounded = (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000;
  return v == v ? (F32x)rounded : (F32x)((bits & 0xffff0000) | 0x00400000);
}
QD_INLINE float roundToBf16(float x) {
  const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, x);
  if (x != x) return __builtin_bit_cast(float, (bits & 0xffff0000) | 0x00400000);
  return __builtin_bit_cast(float, (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000);
}

// Stores the upper halves of numbers that are rounded already.
QD_INLINE void storeRounded(BFloat16* p, F32x v) {
  *reinterpret_cast<U16xUnaligned*>(p) = __builtin_convertvector((U32x)v >> 16, U16x);
}

// The first n lanes, as for floats: widened when loaded, rounded when stored.
QD_INLINE F32x loadFirst(const BFloat16* p, int n) {
#if defined(__AVX512F__) && QD_WIDTH == 16
  return (F32x)_mm512_slli_epi32(
      _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(firstLanes(static_cast<std::size_t>(n)), p)), 16);
#else
  if (n >= WIDTH) return loadBf16(p);
  F32x v{};
  for (int i = 0; i < n; i++) v[i] = fromBf16(p[i]);
  return v;
#endif
}
#if defined(__AVX512F__) && QD_WIDTH == 16
QD_INLINE __m256i halvesOf(F32x v) {
#if defined(__AVX512BF16__)
  return (__m256i)_mm512_cvtneps_pbh((__m512)v);
#else
  return _mm512_cvtepi32_epi16((__m512i)((U32x)roundToBf16(v) >> 16));
#endif
}
#endif
QD_INLINE void storeFirst(BFloat16* p, F32x v, int n) {
#if defined(__AVX512F__) && QD_WIDTH == 16
  _mm256_mask_storeu_epi16(p, firstLanes(static_cast<std::size_t>(n)), halvesOf(v));
#else
  const F32x rounded = roundToBf16(v);
  if (n >= WIDTH) return storeRounded(p, rounded);
  for (int i = 0; i < n; i++)
    p[i] = static_cast<BFloat16>(__builtin_bit_cast(std::uint32_t, rounded[i]) >> 16);
#endif
}

// A pair: two bf16 numbers in a word, the first in the low half. A sum of products of pairs is one
// instruction where the level has it (BF16_PAIRS). A width of 16 without AVX-512 emulates it, so that the
// code around it is tested on every machine. The instruction flushes subnormal numbers.
#if defined(__AVX512BF16__) && QD_WIDTH == 16
constexpr bool BF16_PAIRS = true;
QD_INLINE F32x addPairs(F32x sum, I32x a, I32x b) {
  return (F32x)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
}
#else
#if defined(__AVX512F__) || QD_WIDTH != 16
constexpr bool BF16_PAIRS = false;
#else
constexpr bool BF16_PAIRS = true;
#endif
QD_INLINE F32x addPairs(F32x sum, I32x a, I32x b) {
  return fma(asF32(a << 16), asF32(b << 16), fma(asF32(a & -65536), asF32(b & -65536), sum));
}
#endif
// Numbers that are rounded already: lane i = (first[i], second[i]).
QD_INLINE I32x zipRounded(F32x first, F32x second) { return (I32x)((U32x)first >> 16) | asI32(second); }

// Rounds to bf16: lane i = (first[i], second[i]).
QD_INLINE I32x zipToBf16(F32x first, F32x second) {
#if defined(__AVX512BF16__) && QD_WIDTH == 16
  const U16x2 zipped = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                        8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return (I32x)_mm512_permutexvar_epi16((__m512i)zipped,
                                        (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first));
#else
  return zipRounded(roundToBf16(first), roundToBf16(second));
#endif
}
// Rounds 2·WIDTH consecutive numbers: lane i = numbers 2i and 2i + 1.
QD_INLINE I32x pairsToBf16(F32x low, F32x high) {
#if defined(__AVX512BF16__) && QD_WIDTH == 16
  return (I32x)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
#else
  return zipToBf16(Lanes::everyOther<0>(low, high), Lanes::everyOther<1>(low, high));
#endif
}

}  // namespace qdylora::QD_LEVEL
