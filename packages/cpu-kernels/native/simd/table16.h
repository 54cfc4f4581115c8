#pragma once
#include "arithmetic.h"

// Look-ups of 4-bit codes.
namespace qdylora::QD_LEVEL {

// A table of 16 floats, in registers where the level can look up there. Lane i of `at` is table[index[i] &
// 15]. `times` multiplies the table by a factor; `room` holds the result where tables are in memory.
struct Table16 {
#if defined(__AVX512F__) && QD_WIDTH == 16
  __m512 whole;
  explicit QD_INLINE Table16(const float* t) : whole(_mm512_loadu_ps(t)) {}
  QD_INLINE Table16 times(float factor, float (&)[16]) const { return Table16((F32x)whole * factor); }
  explicit QD_INLINE Table16(F32x t) : whole((__m512)t) {}
  QD_INLINE F32x at(I32x index) const { return (F32x)_mm512_permutexvar_ps((__m512i)index, whole); }
#elif defined(__AVX2__)
  __m256 low, high;
  explicit QD_INLINE Table16(const float* t) : low(_mm256_loadu_ps(t)), high(_mm256_loadu_ps(t + 8)) {}
  QD_INLINE Table16 times(float factor, float (&)[16]) const {
    Table16 scaled = *this;
    scaled.low = _mm256_mul_ps(low, _mm256_set1_ps(factor));
    scaled.high = _mm256_mul_ps(high, _mm256_set1_ps(factor));
    return scaled;
  }
  QD_INLINE __m256 pick(__m256i index) const {
    const __m256 upper = _mm256_castsi256_ps(_mm256_slli_epi32(index, 28));  // bit 3 into the sign
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, index), _mm256_permutevar8x32_ps(high, index),
                            upper);
  }
#if QD_WIDTH == 8
  QD_INLINE F32x at(I32x index) const { return (F32x)pick((__m256i)index); }
#else
  QD_INLINE F32x at(I32x index) const {
    union {
      I32x whole;
      __m256i half[2];
    } i{index};
    union {
      F32x whole;
      __m256 half[2];
    } r;
    r.half[0] = pick(i.half[0]);
    r.half[1] = pick(i.half[1]);
    return r.whole;
  }
#endif
#else
  const float* table;
  explicit QD_INLINE Table16(const float* t) : table(t) {}
  QD_INLINE Table16 times(float factor, float (&room)[16]) const {
    for (int i = 0; i < 16; i++) room[i] = table[i] * factor;
    return Table16(room);
  }
  QD_INLINE F32x at(I32x index) const {
    F32x v;
    for (int i = 0; i < WIDTH; i++) v[i] = table[index[i] & 15];
    return v;
  }
#endif
};

}  // namespace qdylora::QD_LEVEL
