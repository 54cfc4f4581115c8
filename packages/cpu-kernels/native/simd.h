#pragma once
#include <cstddef>
#include <cstdint>

#include "kernel.h"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

// Vectors of QD_WIDTH floats (4, 8, 16) as compiler vector types: + − × ÷, comparisons and a ? b : c work on
// them as they stand.
// Only what the language cannot say is written per instruction set. A width of 16 without AVX-512 (level
// avx2w16, for tests) runs as two halves.
namespace qdylora::QD_LEVEL {

constexpr int WIDTH = QD_WIDTH;
constexpr int LANES_LOG = WIDTH == 16 ? 4 : WIDTH == 8 ? 3 : 2;
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

// What leaves the caches before it is read again, in bytes: better written past them.
constexpr std::size_t LARGE_BYTES = std::size_t{1} << 20;
QD_INLINE bool isLine(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 64 == 0; }
// True where `count` elements at p are that large, and rows of `row` of them whole cache lines.
template <class T>
QD_INLINE bool leavesCaches(const T* p, std::size_t count, std::size_t row) {
  return count * sizeof(T) >= LARGE_BYTES && row * sizeof(T) % 64 == 0 && isLine(p);
}
// A vector; where `past`, at a cache line of its own and past the caches, if the level can: others see it
// after `streamFence`.
QD_INLINE void storeLine(void* to, I32x line, bool past) {
#if defined(__AVX512F__) && QD_WIDTH == 16
  if (past) return _mm512_stream_si512(static_cast<__m512i*>(to), (__m512i)line);
#endif
  (void)past;
  storeI32(to, line);
}
QD_INLINE void streamFence() {
#if defined(__AVX2__)
  _mm_sfence();
#endif
}

QD_INLINE void copyFloats(const float* from, float* to, std::size_t n) {
  std::size_t i = 0;
  for (; i + WIDTH <= n; i += WIDTH) store(to + i, load(from + i));
  for (; i < n; i++) to[i] = from[i];
}

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

// As of floats: the first n lanes, widened and rounded on the way.
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

// Two bf16 numbers in a word: the first in the low half. Sums of products of such pairs are one instruction
// where the level has it (BF16_PAIRS);
// a width of 16 without AVX-512 emulates it, so that the code around it is tested on every machine. The
// instruction flushes subnormal numbers.
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

// Lane i = pick i of the 2·WIDTH lanes of (a, b). Constant picks.
#if defined(__clang__) || __GNUC__ >= 12
#define QD_PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define QD_PICK(a, b, ...) __builtin_shuffle(a, b, I32x{__VA_ARGS__})
#endif
template <class Lanes>
struct SwapLanes;
template <int... LANE>
struct SwapLanes<Positions<LANE...>> {
  // Exchanges, between two rows that stand `DISTANCE` apart, the off-diagonal squares of that size.
  template <int DISTANCE>
  static QD_INLINE void exchange(I32x& a, I32x& b) {
    const I32x low = QD_PICK(a, b, (LANE & DISTANCE ? WIDTH + (LANE ^ DISTANCE) : LANE)...);
    b = QD_PICK(a, b, (LANE & DISTANCE ? WIDTH + LANE : (LANE ^ DISTANCE))...);
    a = low;
  }
  template <int DISTANCE>
  static QD_INLINE F32x rotated(F32x a) {
    return QD_PICK(a, a, (LANE ^ DISTANCE)...);
  }
  template <int DISTANCE>
  static QD_INLINE I32x rotated(I32x a) {
    return QD_PICK(a, a, (LANE ^ DISTANCE)...);
  }
  // Every other one of the 2·WIDTH lanes.
  template <int FIRST>
  static QD_INLINE F32x everyOther(F32x a, F32x b) {
    return QD_PICK(a, b, (2 * LANE + FIRST)...);
  }
};
using Lanes = SwapLanes<typename CountTo<WIDTH>::type>;

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

// Transposes a square of WIDTH × WIDTH words in registers.
template <int DISTANCE = WIDTH / 2>
QD_INLINE void transpose(I32x (&rows)[WIDTH]) {
#pragma GCC unroll 16
  for (int i = 0; i < WIDTH; i++) {
    if (!(i & DISTANCE)) Lanes::exchange<DISTANCE>(rows[i], rows[i | DISTANCE]);
  }
  if constexpr (DISTANCE > 1) transpose<DISTANCE / 2>(rows);
}

// Sums and extrema over the lanes, always in the same order (a tree).
template <int DISTANCE = WIDTH / 2>
QD_INLINE float sumOf(F32x v) {
  v = v + Lanes::rotated<DISTANCE>(v);
  if constexpr (DISTANCE > 1)
    return sumOf<DISTANCE / 2>(v);
  else
    return v[0];
}
template <int DISTANCE = WIDTH / 2>
QD_INLINE float largestOf(F32x v) {
  v = larger(v, Lanes::rotated<DISTANCE>(v));
  if constexpr (DISTANCE > 1)
    return largestOf<DISTANCE / 2>(v);
  else
    return v[0];
}

template <int DISTANCE = WIDTH / 2>
QD_INLINE std::int32_t largestOf(I32x v) {
  const I32x other = Lanes::rotated<DISTANCE>(v);
  v = v > other ? v : other;
  if constexpr (DISTANCE > 1)
    return largestOf<DISTANCE / 2>(v);
  else
    return v[0];
}

// A table of 16 floats in registers; lane i of `at` picks table[index[i] & 15]. `times` is the table of
// products; `room` holds it where tables lie in memory.
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

// [begin, end) of part `part` of `parts` equal shares of `total`, cut on multiples of `unit`.
struct Range {
  Size begin, end;
};
QD_INLINE Range shareOf(Size total, int parts, int part, Size unit = 1) {
  const Size units = (total + unit - 1) / unit;
  const Size begin = units * static_cast<Size>(part) / static_cast<Size>(parts) * unit;
  const Size end = units * static_cast<Size>(part + 1) / static_cast<Size>(parts) * unit;
  return {smaller(begin, total), smaller(end, total)};
}

}  // namespace qdylora::QD_LEVEL
