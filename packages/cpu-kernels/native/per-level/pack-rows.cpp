// Packs one stripe of A: [depth][rows] from row-major (transposed in registers) or column-major memory, rounded to bf16 or scaled on the way.
// The caller's thread owns the stripe. Row-major: a lane is a step of the depth, then a row. Column-major: a lane is a row.
// 8 bytes moved per element, about 0.35 cycles: 1 % of a product with 2048 columns, 2–4 % of one with 576 (Zen 3, 2026).
// Assumes nothing about alignment; reads only rows and depths that exist.
// Tried and dropped: broadcasting A straight from row-major memory (six rows 8 KiB apart share one cache set).
#include "../gemm/pack-rows.h"

namespace qdylora::QD_LEVEL {
namespace {

QD_INLINE F32x readAs(const Rows& a, F32x v) { return a.bf16 ? roundToBf16(v) : a.factor == 1.f ? v : v * a.factor; }

// Writes lanes 0 … count−1 of v at out. A whole vector is stored where the spilled lanes stay inside the stripe and are overwritten later.
QD_INLINE void spill(float* out, F32x v, Size count, const float* end) {
  if (out + WIDTH <= end) store(out, v);
  else storeFirst(out, v, static_cast<int>(count));
}

void packOneRow(const Rows& a, const float* row, Size depth, float* out) {
  Size k = 0;
  for (; k + WIDTH <= depth; k += WIDTH) store(out + k, readAs(a, load(row + k)));
  if (k < depth) storeFirst(out + k, readAs(a, loadFirst(row + k, static_cast<int>(depth - k))), static_cast<int>(depth - k));
}

void packRowMajor(const Rows& a, const float* first, Size rows, Size depth, float* out) {
  constexpr Size GROUPS = divideUp(TILE_ROWS, WIDTH);
  const float* end = out + rows * depth;
  for (Size k = 0; k < depth; k += WIDTH) {
    const int count = static_cast<int>(smaller<Size>(WIDTH, depth - k));
    I32x squares[GROUPS][WIDTH];
#pragma GCC unroll 2
    for (Size g = 0; g < GROUPS; g++) {
#pragma GCC unroll 16
      for (Size r = 0; r < WIDTH; r++) {
        const Size row = g * WIDTH + r;
        squares[g][r] = row < rows ? asI32(readAs(a, loadFirst(first + row * a.stride + k, count))) : I32x{};
      }
      transpose(squares[g]);
    }
    for (int i = 0; i < count; i++) {
      for (Size g = 0; g * WIDTH < rows; g++) spill(out + g * WIDTH, asF32(squares[g][i]), smaller<Size>(WIDTH, rows - g * WIDTH), end);
      out += rows;
    }
  }
}

void packColumnMajor(const Rows& a, const float* first, bool whole, Size rows, Size depth, float* out) {
  const float* end = out + rows * depth;
  for (Size k = 0; k < depth; k++, out += rows, first += a.stride) {
    for (Size g = 0; g < rows; g += WIDTH) {
      const Size count = smaller<Size>(WIDTH, rows - g);
      const F32x v = whole ? load(first + g) : loadFirst(first + g, static_cast<int>(count));
      spill(out + g, readAs(a, v), count, end);
    }
  }
}

}  // namespace

void packStripe(const Rows& a, Size row0, Size rows, Size k0, Size depth, float* out) {
  // A vector may be read past the stripe where the rows after it exist.
  if (a.transposed) return packColumnMajor(a, a.data + k0 * a.stride + row0, row0 + divideUp(rows, WIDTH) * WIDTH <= a.height, rows, depth, out);
  const float* first = a.data + row0 * a.stride + k0;
  if (rows == 1) packOneRow(a, first, depth, out);
  else packRowMajor(a, first, rows, depth, out);
}

}  // namespace qdylora::QD_LEVEL
