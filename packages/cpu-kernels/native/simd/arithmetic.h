#pragma once
#include "vectors.h"

// Arithmetic and conversions that the language has no operator for, or compiles badly.
namespace qdylora::QD_LEVEL {

// a·b + c; rounded once where the level has FMA, which is every x86 level but `generic`.
QD_INLINE F32x fma(F32x a, F32x b, F32x c) {
#if defined(__AVX512F__) && QD_WIDTH == 16
  return (F32x)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__) && QD_WIDTH == 8
  return (F32x)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__FMA__) && QD_WIDTH == 16
  union Halves {
    F32x whole;
    __m256 half[2];
  } x{a}, y{b}, z{c};
  for (int i = 0; i < 2; i++) z.half[i] = _mm256_fmadd_ps(x.half[i], y.half[i], z.half[i]);
  return z.whole;
#elif defined(__aarch64__)
  for (int i = 0; i < WIDTH; i++) c[i] = __builtin_fmaf(a[i], b[i], c[i]);
  return c;
#else
  return a * b + c;
#endif
}

QD_INLINE F32x asF32(I32x v) { return (F32x)v; }
QD_INLINE I32x asI32(F32x v) { return (I32x)v; }
QD_INLINE F32x toF32(I32x v) { return __builtin_convertvector(v, F32x); }
// Towards zero.
QD_INLINE I32x toI32(F32x v) { return __builtin_convertvector(v, I32x); }
QD_INLINE I32x widen(U16x v) { return __builtin_convertvector(v, I32x); }
// GCC 12 makes of a conversion of WIDTH bytes as many loads and inserts.
QD_INLINE I32x loadBytes(const std::uint8_t* p) {
#if defined(__AVX512F__) && QD_WIDTH == 16
  return (I32x)_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
#elif defined(__AVX2__) && QD_WIDTH == 8
  return (I32x)_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
#else
  return __builtin_convertvector(*reinterpret_cast<const U8xUnaligned*>(p), I32x);
#endif
}

// NaN in a gives b, as the machine's min and max do; GCC 12 makes two instructions of a ? b : c.
#if defined(__AVX512F__) && QD_WIDTH == 16
QD_INLINE F32x smaller(F32x a, F32x b) { return (F32x)_mm512_min_ps((__m512)a, (__m512)b); }
QD_INLINE F32x larger(F32x a, F32x b) { return (F32x)_mm512_max_ps((__m512)a, (__m512)b); }
#elif defined(__AVX2__) && QD_WIDTH == 8
QD_INLINE F32x smaller(F32x a, F32x b) { return (F32x)_mm256_min_ps((__m256)a, (__m256)b); }
QD_INLINE F32x larger(F32x a, F32x b) { return (F32x)_mm256_max_ps((__m256)a, (__m256)b); }
#else
QD_INLINE F32x smaller(F32x a, F32x b) { return a < b ? a : b; }
QD_INLINE F32x larger(F32x a, F32x b) { return a > b ? a : b; }
#endif
// The bits of ∞. Magnitudes rise as their bits do, and those of NaN are greater.
constexpr std::int32_t INFINITY_BITS = 0x7f800000;
QD_INLINE F32x absolute(F32x v) { return asF32(asI32(v) & 0x7fffffff); }
QD_INLINE F32x select(I32x mask, F32x yes, F32x no) { return mask ? yes : no; }

QD_INLINE F32x squareRoot(F32x v) {
#if defined(__AVX512F__) && QD_WIDTH == 16
  return (F32x)_mm512_sqrt_ps((__m512)v);
#elif defined(__AVX2__) && QD_WIDTH == 8
  return (F32x)_mm256_sqrt_ps((__m256)v);
#else
  for (int i = 0; i < WIDTH; i++) v[i] = __builtin_sqrtf(v[i]);
  return v;
#endif
}

}  // namespace qdylora::QD_LEVEL
