#pragma once
#include <cstddef>
#include <cstdint>

#include "../kernel.h"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

// Vectors of QD_WIDTH floats (4, 8 or 16) as compiler vector types, and how they come from memory and go
// there. + − × ÷, comparisons and a ? b : c work on them directly. A width of 16 without AVX-512 (level
// avx2w16, for tests) is compiled as two halves.
namespace qdylora::QD_LEVEL {

constexpr int WIDTH = QD_WIDTH;
static_assert(WIDTH == 4 || WIDTH == 8 || WIDTH == 16, "a vector has 4, 8 or 16 floats");

typedef float F32x __attribute__((vector_size(4 * QD_WIDTH)));
typedef std::int32_t I32x __attribute__((vector_size(4 * QD_WIDTH)));
typedef std::uint32_t U32x __attribute__((vector_size(4 * QD_WIDTH)));
typedef F32x F32xUnaligned __attribute__((aligned(4), may_alias));
typedef I32x I32xUnaligned __attribute__((aligned(1), may_alias));
typedef std::uint8_t U8x __attribute__((vector_size(QD_WIDTH)));
typedef U8x U8xUnaligned __attribute__((aligned(1), may_alias));
typedef std::uint16_t U16x __attribute__((vector_size(2 * QD_WIDTH)));
typedef U16x U16xUnaligned __attribute__((aligned(2), may_alias));
typedef std::uint16_t U16x2 __attribute__((vector_size(4 * QD_WIDTH)));
// As wide as the others, so half as many lanes; and as many bytes.
typedef std::uint64_t U64x __attribute__((vector_size(4 * QD_WIDTH)));
typedef std::uint8_t U8Half __attribute__((vector_size(QD_WIDTH / 2)));
typedef U8Half U8HalfUnaligned __attribute__((aligned(1), may_alias));

template <class T>
QD_INLINE constexpr T smaller(T a, T b) {
  return a < b ? a : b;
}
template <class T>
QD_INLINE constexpr T larger(T a, T b) {
  return a > b ? a : b;
}

QD_INLINE F32x load(const float* p) { return *reinterpret_cast<const F32xUnaligned*>(p); }
QD_INLINE void store(float* p, F32x v) { *reinterpret_cast<F32xUnaligned*>(p) = v; }
QD_INLINE I32x loadI32(const void* p) { return *static_cast<const I32xUnaligned*>(p); }
QD_INLINE void storeI32(void* p, I32x v) { *static_cast<I32xUnaligned*>(p) = v; }
QD_INLINE F32x all(float x) {
#if defined(__AVX512F__) && QD_WIDTH == 16
  return (F32x)_mm512_set1_ps(x);
#else
  return x - F32x{};
#endif
}
QD_INLINE I32x allI32(std::int32_t x) { return x - I32x{}; }

// The first n lanes (0 ≤ n ≤ WIDTH) from memory, the others 0; nothing past them is read.
#if defined(__AVX512F__) && QD_WIDTH == 16
// The mask of the first n lanes; of all where n ≥ WIDTH.
QD_INLINE __mmask16 firstLanes(std::size_t n) {
  return n >= WIDTH ? 0xffff : static_cast<__mmask16>((1u << n) - 1);
}
QD_INLINE F32x loadFirst(const float* p, int n) {
  return (F32x)_mm512_maskz_loadu_ps(firstLanes(static_cast<std::size_t>(n)), p);
}
QD_INLINE void storeFirst(float* p, F32x v, int n) {
  _mm512_mask_storeu_ps(p, firstLanes(static_cast<std::size_t>(n)), (__m512)v);
}
#else
QD_INLINE F32x loadFirst(const float* p, int n) {
  if (n >= WIDTH) return load(p);
  F32x v{};
  for (int i = 0; i < n; i++) v[i] = p[i];
  return v;
}
QD_INLINE void storeFirst(float* p, F32x v, int n) {
  if (n >= WIDTH) {
    store(p, v);
    return;
  }
  for (int i = 0; i < n; i++) p[i] = v[i];
}
#endif

QD_INLINE void copyFloats(const float* from, float* to, std::size_t n) {
  std::size_t i = 0;
  for (; i + WIDTH <= n; i += WIDTH) store(to + i, load(from + i));
  for (; i < n; i++) to[i] = from[i];
}

}  // namespace qdylora::QD_LEVEL
