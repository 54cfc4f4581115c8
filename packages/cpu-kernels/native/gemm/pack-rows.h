#pragma once
#include "blocking.h"

// The A operand: stripes of rows, packed [depth][rows], from memory that is row-major or transposed.
namespace qdylora::QD_LEVEL {

struct Rows {
  const float* data;
  Size stride;
  bool transposed;    // false: A(m, k) = data[m · stride + k]; true: A(m, k) = data[k · stride + m]
  Size height;        // rows of A that exist
  bool bf16;          // each element is multiplied by `factor`, then rounded to bf16 where asked
  float factor;
};

QD_INLINE Rows rowMajor(const float* data, Size stride, Size height, bool bf16 = false, float factor = 1.f) { return {data, stride, false, height, bf16, factor}; }
QD_INLINE Rows columnMajor(const float* data, Size stride, Size height, bool bf16 = false, float factor = 1.f) { return {data, stride, true, height, bf16, factor}; }

// One stripe: rows [row0, row0 + rows), depth [k0, k0 + depth); where `pairs`, as pairs of bf16 numbers: wordsOf(depth) words of `rows` (or filled-up tiles, blocking.h), missing steps being 0.
void packTileRows(const Rows& a, Size row0, Size rows, Size k0, Size depth, float* out);
void packStripe(const Rows& a, bool pairs, Size row0, Size rows, Size k0, Size depth, float* out);

}  // namespace qdylora::QD_LEVEL
