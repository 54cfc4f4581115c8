#pragma once
#include "blocking.h"

// The A operand: stripes of rows, packed [depth][rows], from memory that is row-major or transposed.
namespace qdylora::QD_LEVEL {

struct Rows {
  const float* f32;  // one of these two is set
  const BFloat16* half;
  Size stride;
  bool transposed;  // false: A(m, k) = at[m · stride + k]; true: A(m, k) = at[k · stride + m]
  Size height;      // rows of A that exist
  bool bf16;        // each float is rounded to bf16, after the factor
  float factor;     // that each float is multiplied by; a bf16 number stays as it is
};

QD_INLINE Rows rowMajor(const float* data, Size stride, Size height, bool bf16 = false, float factor = 1.f) {
  return {data, nullptr, stride, false, height, bf16, factor};
}
QD_INLINE Rows rowMajor(const Dense& data, Size stride, Size height, bool bf16) {
  return {data.f32, data.bf16, stride, false, height, bf16, 1.f};
}
QD_INLINE Rows columnMajor(const float* data, Size stride, Size height, bool bf16 = false,
                           float factor = 1.f) {
  return {data, nullptr, stride, true, height, bf16, factor};
}
QD_INLINE Rows columnMajor(const Dense& data, Size stride, Size height, bool bf16) {
  return {data.f32, data.bf16, stride, true, height, bf16, 1.f};
}

// One stripe: rows [row0, row0 + rows), depth [k0, k0 + depth); where `pairs`, as pairs of bf16 numbers:
// wordsOf(depth) words of `rows` (or filled-up tiles, blocking.h), missing steps being 0.
void packTileRows(const Rows& a, Size row0, Size rows, Size k0, Size depth, float* out);
void packStripe(const Rows& a, bool pairs, Size row0, Size rows, Size k0, Size depth, float* out);
// The same rows as the columns of a panel, for products with the operands in each other's place:
// [wordsOf(depth) / 16][2 tiles][16 words][16 rows], filled up with zeros; the second tiles are not written
// where there are up to 16 rows. `a` is row-major, and the level has tiles.
void packTilePanel(const Rows& a, Size row0, Size rows, Size k0, Size depth, float* out);

}  // namespace qdylora::QD_LEVEL
