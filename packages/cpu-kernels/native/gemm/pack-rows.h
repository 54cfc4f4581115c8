#pragma once
#include "blocking.h"

// The A operand: stripes of rows, packed [depth][rows], from memory that is row-major or transposed.
namespace qdylora::QD_LEVEL {

// How each element is read: rounded to bf16 first, or times a factor.
struct Reading { bool bf16; float factor; };

QD_INLINE F32x readAs(const Reading& how, F32x v) { return how.bf16 ? roundToBf16(v) : how.factor == 1.f ? v : v * how.factor; }

// Writes lanes 0 … count−1 of v at out. A whole vector is stored where the spilled lanes stay inside the stripe and are overwritten later.
QD_INLINE void spill(float* out, F32x v, Size count, const float* end) {
  if (out + WIDTH <= end) store(out, v);
  else storeFirst(out, v, static_cast<int>(count));
}

// A(m, k) = data[m · stride + k].
struct RowMajor {
  const float* data;
  Size stride;
  Reading how;

  void pack(Size row0, Size rows, Size k0, Size depth, float* out) const {
    constexpr Size GROUPS = divideUp(TILE_ROWS, WIDTH);
    const float *first = data + row0 * stride + k0, *end = out + rows * depth;
    if (rows == 1) return packOne(first, depth, out);
    for (Size k = 0; k < depth; k += WIDTH) {
      const int count = static_cast<int>(smaller<Size>(WIDTH, depth - k));
      I32x squares[GROUPS][WIDTH];
#pragma GCC unroll 2
      for (Size g = 0; g < GROUPS; g++) {
#pragma GCC unroll 16
        for (Size r = 0; r < WIDTH; r++) {
          const Size row = g * WIDTH + r;
          squares[g][r] = row < rows ? asI32(readAs(how, loadFirst(first + row * stride + k, count))) : I32x{};
        }
        transpose(squares[g]);
      }
      for (int i = 0; i < count; i++) {
        for (Size g = 0; g * WIDTH < rows; g++) spill(out + g * WIDTH, asF32(squares[g][i]), smaller<Size>(WIDTH, rows - g * WIDTH), end);
        out += rows;
      }
    }
  }

  QD_INLINE void packOne(const float* row, Size depth, float* out) const {
    Size k = 0;
    for (; k + WIDTH <= depth; k += WIDTH) store(out + k, readAs(how, load(row + k)));
    if (k < depth) storeFirst(out + k, readAs(how, loadFirst(row + k, static_cast<int>(depth - k))), static_cast<int>(depth - k));
  }
};

// A(m, k) = data[k · stride + m]: the rows of A are columns in memory.
struct ColumnMajor {
  const float* data;
  Size stride;
  Size height;  // rows of A that exist, so that a vector may be read past this stripe
  Reading how;

  void pack(Size row0, Size rows, Size k0, Size depth, float* out) const {
    const float *first = data + k0 * stride + row0, *end = out + rows * depth;
    const bool whole = row0 + divideUp(rows, WIDTH) * WIDTH <= height;
    for (Size k = 0; k < depth; k++) {
      for (Size g = 0; g < rows; g += WIDTH) {
        const Size count = smaller<Size>(WIDTH, rows - g);
        const F32x v = whole ? load(first + g) : loadFirst(first + g, static_cast<int>(count));
        spill(out + g, readAs(how, v), count, end);
      }
      out += rows;
      first += stride;
    }
  }
};

}  // namespace qdylora::QD_LEVEL
