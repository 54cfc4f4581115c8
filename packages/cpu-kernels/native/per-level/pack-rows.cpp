// Computes: one packed stripe of A, [words][rows], from row-major memory (transposed in registers) or
//   column-major, rounded to bf16 (two steps to a word, or one) or scaled.
// Owners: the caller's thread owns the stripe. Row-major: a lane is a step of the depth, then a row.
//   Column-major: a lane is a row.
// Cost: 8 bytes moved per element in about 0.35 cycles: 1 % of a product with 2048 columns, 2 to 4 % of one
//   with 576 (Zen 3, 2026).
// Assumes: no alignment; reads only rows and depths that exist.
// Dropped: A broadcast straight from row-major memory: six rows 8 KiB apart share one cache set.
#include "../gemm/pack-rows.h"

namespace qdylora::QD_LEVEL {
namespace {

// n numbers at p as A has them; bf16 numbers pass as they are.
QD_INLINE F32x readAs(const Rows& a, const float* p, int n) {
  const F32x scaled = loadFirst(p, n) * a.factor;
  return a.bf16 ? roundToBf16(scaled) : scaled;
}
QD_INLINE F32x readAs(const Rows&, const BFloat16* p, int n) { return loadFirst(p, n); }

// The same, to be rounded by what makes pairs of them.
QD_INLINE F32x readScaled(const Rows& a, const float* p, int n) { return loadFirst(p, n) * a.factor; }
QD_INLINE F32x readScaled(const Rows&, const BFloat16* p, int n) { return loadFirst(p, n); }

// Writes lanes 0 … count−1 of v at out. A whole vector is stored where the spilled lanes stay inside the
// stripe and are overwritten later.
QD_INLINE void spill(float* out, F32x v, Size count, const float* end) {
  if (out + WIDTH <= end)
    store(out, v);
  else
    storeFirst(out, v, static_cast<int>(count));
}

template <bool B>
struct Known {
  static constexpr bool value = B;
};

// Steps of the depth that one vector of words holds.
template <bool PAIRS>
constexpr Size STEPS = PAIRS ? 2 * WIDTH : WIDTH;

// The words of `count` ≤ STEPS numbers of a row; the rest 0.
template <bool PAIRS, class T>
QD_INLINE I32x readWords(const Rows& a, const T* row, Size count) {
  const int low = static_cast<int>(smaller<Size>(WIDTH, count));
  const int high = static_cast<int>(count) - low;
  if constexpr (!PAIRS)
    return asI32(readAs(a, row, low));
  else if (sizeof(T) == 2 && high == WIDTH)
    return loadI32(row);  // these are pairs already
  else
    return pairsToBf16(readScaled(a, row, low), high ? readScaled(a, row + WIDTH, high) : F32x{});
}

template <bool PAIRS, class T>
void packOneRow(const Rows& a, const T* row, Size depth, float* out) {
  for (Size k = 0; k < depth; k += STEPS<PAIRS>, out += WIDTH) {
    const Size count = smaller(STEPS<PAIRS>, depth - k);
    storeFirst(out, asF32(readWords<PAIRS>(a, row + k, count)), static_cast<int>(wordsOf(count, PAIRS)));
  }
}

template <bool PAIRS, class T>
void packRowMajor(const Rows& a, const T* first, Size rows, Size depth, float* out) {
  constexpr Size GROUPS = divideUp(TILE_ROWS, WIDTH);
  const float* end = out + rows * wordsOf(depth, PAIRS);
  for (Size k = 0; k < depth; k += STEPS<PAIRS>) {
    const Size count = smaller(STEPS<PAIRS>, depth - k);
    I32x squares[GROUPS][WIDTH];
#pragma GCC unroll 2
    for (Size g = 0; g < GROUPS; g++) {
#pragma GCC unroll 16
      for (Size r = 0; r < WIDTH; r++) {
        const Size row = g * WIDTH + r;
        squares[g][r] = row < rows ? readWords<PAIRS>(a, first + row * a.stride + k, count) : I32x{};
      }
      transpose(squares[g]);
    }
    for (Size i = 0; i < wordsOf(count, PAIRS); i++) {
      for (Size g = 0; g * WIDTH < rows; g++)
        spill(out + g * WIDTH, asF32(squares[g][i]), smaller<Size>(WIDTH, rows - g * WIDTH), end);
      out += rows;
    }
  }
}

template <bool PAIRS, class T>
void packColumnMajor(const Rows& a, const T* first, bool whole, Size rows, Size depth, float* out) {
  constexpr Size STEP = PAIRS ? 2 : 1;
  const float* end = out + rows * wordsOf(depth, PAIRS);
  for (Size k = 0; k < depth; k += STEP, out += rows, first += STEP * a.stride) {
    for (Size g = 0; g < rows; g += WIDTH) {
      const Size count = smaller<Size>(WIDTH, rows - g);
      const int exist = whole ? WIDTH : static_cast<int>(count);
      if constexpr (PAIRS)
        spill(out + g,
              asF32(zipToBf16(readScaled(a, first + g, exist),
                              k + 1 < depth ? readScaled(a, first + a.stride + g, exist) : F32x{})),
              count, end);
      else
        spill(out + g, readAs(a, first + g, exist), count, end);
    }
  }
}

template <bool PAIRS, class T>
QD_INLINE void packAs(const Rows& a, const T* data, Size row0, Size rows, Size k0, Size depth, float* out) {
  // A vector may be read past the stripe where the rows after it exist.
  if (a.transposed)
    return packColumnMajor<PAIRS>(a, data + k0 * a.stride + row0,
                                  row0 + divideUp(rows, WIDTH) * WIDTH <= a.height, rows, depth, out);
  const T* first = data + row0 * a.stride + k0;
  if (rows == 1)
    packOneRow<PAIRS>(a, first, depth, out);
  else
    packRowMajor<PAIRS>(a, first, rows, depth, out);
}

}  // namespace

void packStripe(const Rows& a, bool pairs, Size row0, Size rows, Size k0, Size depth, float* out) {
  if (fillsTiles(pairs)) return packTileRows(a, row0, rows, k0, depth, out);
  const auto pack = [&](auto formTag, const auto* data) {
    packAs<formTag.value>(a, data, row0, rows, k0, depth, out);
  };
  if constexpr (BF16_PAIRS)
    if (pairs) return a.half ? pack(Known<true>{}, a.half) : pack(Known<true>{}, a.f32);
  a.half ? pack(Known<false>{}, a.half) : pack(Known<false>{}, a.f32);
}

}  // namespace qdylora::QD_LEVEL
