#pragma once
#include "simd.h"

// Walks over the rows of [tokens, hidden] arrays: sums along a row, and sums over rows whose order depends on
// sizes alone.
namespace qdylora::QD_LEVEL {

constexpr double ROWS_GRAIN = 16384;
// Rows whose sums (gradients of a norm's weight) add up in one partial row: fixed, so that the sum does not
// depend on the number of threads.
constexpr Size ROW_BLOCK = 32;
constexpr Size rowBlocks(Size tokens) { return (tokens + ROW_BLOCK - 1) / ROW_BLOCK; }

// Two terms of one walk, and their sums.
struct Two {
  F32x first, second;
};
struct TwoSums {
  float first, second;
};
QD_INLINE Two operator+(const Two& a, const Two& b) { return {a.first + b.first, a.second + b.second}; }
QD_INLINE TwoSums sumOf(const Two& v) { return {sumOf(v.first), sumOf(v.second)}; }

// Σ term(i, n) over a row, term giving WIDTH numbers (or Two) of which the first n count; the others must be
// 0. Four vectors, joined as a tree.
template <class Term>
QD_INLINE auto rowSum(Size hidden, const Term& term) {
  decltype(term(Size{}, WIDTH)) sum[4] = {};
  Size i = 0;
  for (; i + 4 * WIDTH <= hidden; i += 4 * WIDTH)
    for (int j = 0; j < 4; j++) sum[j] = sum[j] + term(i + static_cast<Size>(j) * WIDTH, WIDTH);
  for (; i < hidden; i += WIDTH)
    sum[0] = sum[0] + term(i, static_cast<int>(smaller<Size>(WIDTH, hidden - i)));
  return sumOf((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

template <class Body>
QD_INLINE void alongRow(Size hidden, const Body& body) {
  Size i = 0;
  for (; i + WIDTH <= hidden; i += WIDTH) body(i, WIDTH);
  if (i < hidden) body(i, static_cast<int>(hidden - i));
}

// v where a lane is one of the first n, else 0.
QD_INLINE F32x firstOf(F32x v, int n) {
  if (n >= WIDTH) return v;
  for (int i = n; i < WIDTH; i++) v[i] = 0;
  return v;
}

// sum[columns] += the partial rows [blocks, hidden], in their order.
QD_INLINE void addPartials(float* sum, const float* partials, Size blocks, Size hidden, Range columns) {
  alongRow(columns.end - columns.begin, [&](Size i, int n) {
    F32x total{};
    for (Size block = 0; block < blocks; block++)
      total = total + loadFirst(partials + block * hidden + columns.begin + i, n);
    storeFirst(sum + columns.begin + i, loadFirst(sum + columns.begin + i, n) + total, n);
  });
}

}  // namespace qdylora::QD_LEVEL
