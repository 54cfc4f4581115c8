#pragma once
#include "product.h"

// A product of few rows (decoding: one) straight from B: no panel is packed, each element of B is decoded in
// registers and used at once.
// Sums run as in the blocked product, element for element, so a row's result has the same bits however many
// rows come with it.
namespace qdylora::QD_LEVEL {

// True where B can be read so: dense, or 4-bit in runs whose rows stand as columns; not where tiles sum up in
// an order of their own.
QD_INLINE bool readsDirectly(const Term& t, Size rows) {
  return rows <= FEW_ROWS && !fillsTiles(t.pairs()) &&
         (t.b.dense() || (t.b.transposed && t.b.packed.hasRuns() && t.depth % RUN == 0));
}

// Calls body(RowCount<rows>) with the number of rows, 1 … FEW_ROWS, known at compile time.
template <int ROWS>
struct RowCount {
  static constexpr int value = ROWS;
};
template <class Body>
QD_INLINE void withRowCount(Size rows, const Body& body) {
  static_assert(FEW_ROWS == 4, "a case for each number of rows");
  switch (rows) {
    case 1:
      body(RowCount<1>{});
      break;
    case 2:
      body(RowCount<2>{});
      break;
    case 3:
      body(RowCount<3>{});
      break;
    case 4:
      body(RowCount<4>{});
      break;
    default:
      __builtin_unreachable();
  }
}

// A part [k0, k0 + depth) of a depth block, for the columns [column, column + columns). `stripe`: as
// packStripe leaves it; `to`: C's first row at `column`.
// `carry`: [rows][columns] sums of the block's parts, from the last one to the next; the first part finds
// none there, the last one leaves its sums in C.
struct FewRows {
  Size rows, column, columns, k0, depth;
  const float* stripe;
  float* to;
  Size stride;
  Start start;
  const float* bias;
  float* carry;
  bool isFirst, isLast;
};
void multiplyFewRows(const Term& t, const FewRows& task);

}  // namespace qdylora::QD_LEVEL
