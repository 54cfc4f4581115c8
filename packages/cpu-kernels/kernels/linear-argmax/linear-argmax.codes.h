#pragma once
#include "../../native/simd.h"

// Products of a token with rows of W and with rows of 8-bit codes.
namespace qdylora::QD_LEVEL {
namespace {

constexpr int CHAINS = 4;
constexpr Size AHEAD = 4096;
constexpr Size LINE = 64;

// Tokens that share the reading of a row: their sums stay in registers.
constexpr int TOGETHER = WIDTH == 16 ? 4 : 2;

// Σ x·w over a row that begins at element `from`, for each token's x. A sum has the same bits whatever tokens
// come with it.
template <int TOKENS, class W>
QD_INLINE void dots(const float* const (&x)[TOKENS], const W& w, Size from, Size in, float (&out)[TOKENS]) {
  constexpr Size STEP = CHAINS * WIDTH;
  F32x sums[TOKENS][CHAINS];
  for (auto& token : sums)
    for (F32x& sum : token) sum = F32x{};
  Size i = 0;
  for (; i + STEP <= in; i += STEP) {
    const char* first = static_cast<const char*>(w.address(from + i));
    for (const char* line = first; line < static_cast<const char*>(w.address(from + i + STEP)); line += LINE)
      __builtin_prefetch(line + AHEAD);
#pragma GCC unroll 4
    for (Size c = 0; c < CHAINS; c++) {
      const F32x weights = w.at(from + i + c * WIDTH, WIDTH);
#pragma GCC unroll 4
      for (Size t = 0; t < TOKENS; t++) sums[t][c] = fma(load(x[t] + i + c * WIDTH), weights, sums[t][c]);
    }
  }
  for (; i < in; i += WIDTH) {
    const int n = static_cast<int>(smaller<Size>(WIDTH, in - i));
    const F32x weights = w.at(from + i, n);
#pragma GCC unroll 4
    for (Size t = 0; t < TOKENS; t++) sums[t][0] = fma(loadFirst(x[t] + i, n), weights, sums[t][0]);
  }
#pragma GCC unroll 4
  for (Size t = 0; t < TOKENS; t++) out[t] = sumOf((sums[t][0] + sums[t][1]) + (sums[t][2] + sums[t][3]));
}

#if defined(__AVX512VNNI__) && QD_WIDTH == 16
// A token's x in products with codes, as 256 · high + low units: an instruction multiplies and adds 64 bytes.
struct CodeInput {
  static constexpr Size BYTES = 64;
  static constexpr float MOST_UNITS = 127 * 256 + 127;
  static constexpr float LEAST = 1e-30f;  // x that are all below it count as 0
  // Each of the 16 lanes of a sum adds in / 16 products of a shifted code and a digit, in 32 bits.
  static constexpr Size MOST_LENGTH = 16 * (Size{0x7fffffff} / (255 * 128)) / BYTES * BYTES;

  const std::int8_t *high, *low;  // [in], from −128 to 127, and zeros up to a multiple of BYTES
  float unit;
  float sum;  // of x, in units
  float sumOfMagnitudes;
  float greatestError;  // of an element of x

  static constexpr Size floats(Size in) { return 2 * roundUp(in, BYTES) / sizeof(float); }

  CodeInput() = default;
  // `x`: [in], and room for floats(in) behind it, from a multiple of WIDTH on.
  CodeInput(float* x, Size in) {
    F32x magnitudes{}, most{};
    for (Size i = 0; i < in; i += WIDTH) {
      const F32x part = absolute(loadFirst(x + i, static_cast<int>(smaller<Size>(WIDTH, in - i))));
      magnitudes += part;
      most = (F32x)_mm512_max_ps((__m512)most, (__m512)part);
    }
    const float greatest = _mm512_reduce_max_ps((__m512)most);
    sumOfMagnitudes = sumOf(magnitudes);
    const bool isZero = greatest < LEAST;
    unit = isZero ? 0 : greatest / MOST_UNITS;
    greatestError = isZero ? greatest : 0.51f * unit;
    std::int8_t* const out = reinterpret_cast<std::int8_t*>(x + roundUp(in, WIDTH));
    high = out;
    low = out + roundUp(in, BYTES);
    sum = static_cast<float>(writeDigits(x, in, isZero ? 0 : MOST_UNITS / greatest, out));
  }

 private:
  // Writes both digits of each element; their sum, in units.
  static std::int64_t writeDigits(const float* x, Size in, float perUnit, std::int8_t* out) {
    std::int64_t total = 0;
    for (Size i = 0; i < roundUp(in, BYTES); i += WIDTH) {
      const int n = i < in ? static_cast<int>(smaller<Size>(WIDTH, in - i)) : 0;
      const __m512i units = _mm512_cvtps_epi32((__m512)(loadFirst(x + i, n) * perUnit));
      const __m512i upper = _mm512_srai_epi32(_mm512_add_epi32(units, _mm512_set1_epi32(128)), 8);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), _mm512_cvtepi32_epi8(upper));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + roundUp(in, BYTES) + i), _mm512_cvtepi32_epi8(units));
      total += _mm512_reduce_add_epi32(units);
    }
    return total;
  }
};

// Σ x·code over a row of codes, for each token. Codes become c + 128, since one factor has no sign.
template <int TOKENS>
QD_INLINE void codeDots(const CodeInput (&x)[TOKENS], const std::uint8_t* codes, Size in,
                        float (&out)[TOKENS]) {
  constexpr Size BYTES = CodeInput::BYTES;
  __m512i high[TOKENS], low[TOKENS];
  for (int t = 0; t < TOKENS; t++) high[t] = low[t] = _mm512_setzero_si512();
  const auto add = [&](__m512i signedCodes, Size i) {
    const __m512i shifted = _mm512_xor_si512(signedCodes, _mm512_set1_epi8(-128));
#pragma GCC unroll 4
    for (int t = 0; t < TOKENS; t++) {
      high[t] = _mm512_dpbusd_epi32(high[t], shifted, _mm512_loadu_si512(x[t].high + i));
      low[t] = _mm512_dpbusd_epi32(low[t], shifted, _mm512_loadu_si512(x[t].low + i));
    }
  };
  Size i = 0;
  for (; i + BYTES <= in; i += BYTES) {
    __builtin_prefetch(codes + i + AHEAD);
    add(_mm512_loadu_si512(codes + i), i);
  }
  if (i < in) add(_mm512_maskz_loadu_epi8(~0ull >> (BYTES - (in - i)), codes + i), i);
#pragma GCC unroll 4
  for (int t = 0; t < TOKENS; t++) {
    const F32x units = (F32x)_mm512_cvtepi32_ps(high[t]) * 256.f + (F32x)_mm512_cvtepi32_ps(low[t]);
    out[t] = (sumOf(units) - 128 * x[t].sum) * x[t].unit;
  }
}
#else
// A token's x in products with codes.
struct CodeInput {
  static constexpr Size MOST_LENGTH = ~Size{0};  // sums are floats

  const float* x;
  float sumOfMagnitudes;
  float greatestError;  // of an element of x

  static constexpr Size floats(Size) { return 0; }

  CodeInput() = default;
  // `x`: [in]
  CodeInput(const float* x, Size in) : x(x), greatestError(0) {
    F32x magnitudes{};
    for (Size i = 0; i < in; i += WIDTH)
      magnitudes += absolute(loadFirst(x + i, static_cast<int>(smaller<Size>(WIDTH, in - i))));
    sumOfMagnitudes = sumOf(magnitudes);
  }
};

// The first n lanes.
QD_INLINE F32x loadCodes(const std::uint8_t* p, int n) {
#if defined(__AVX512F__) && QD_WIDTH == 16
  return (F32x)_mm512_cvtepi32_ps(
      _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(firstLanes(static_cast<Size>(n)), p)));
#else
  I32x v{};
  if (n == WIDTH)
    v = loadBytes(p);
  else
    for (int i = 0; i < n; i++) v[i] = p[i];
  return toF32((v ^ 128) - 128);
#endif
}

struct Codes {
  const std::uint8_t* data;
  QD_INLINE F32x at(Size i, int n) const { return loadCodes(data + i, n); }
  QD_INLINE const void* address(Size i) const { return data + i; }
};

// Σ x·code over a row of codes, for each token.
template <int TOKENS>
QD_INLINE void codeDots(const CodeInput (&x)[TOKENS], const std::uint8_t* codes, Size in,
                        float (&out)[TOKENS]) {
  const float* inputs[TOKENS];
  for (int t = 0; t < TOKENS; t++) inputs[t] = x[t].x;
  dots<TOKENS>(inputs, Codes{codes}, 0, in, out);
}
#endif

}  // namespace
}  // namespace qdylora::QD_LEVEL
