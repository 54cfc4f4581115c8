#pragma once
#include "product.h"

// A product of few rows (decoding: one) straight from B: no panel is packed, each element of B is decoded in
// registers and used at once.
// Sums run as in the blocked product, element for element, so a row's result has the same bits however many
// rows come with it.
namespace qdylora::QD_LEVEL {

// True where B can be read so: dense, or 4-bit in runs with its rows as columns; not where tiles sum in
// another order.
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

// One part of a block of the depth, for some columns.
struct FewRows {
  Size rows;
  Size column, columns;  // columns [column, column + columns)
  Size k0, depth;        // steps [k0, k0 + depth) of the depth
  const float* stripe;   // as packStripe writes it
  float* to;             // the first row of C at `column`
  Size stride;           // of C
  Start start;           // what the sums are added to
  const float* bias;     // at `column`
  float* carry;          // [rows][columns]: sums from one part of the block to the next
  bool isFirst;          // the first part: nothing is carried yet
  bool isLast;           // the last part: the sums go to C
};
void multiplyFewRows(const Term& t, const FewRows& task);

}  // namespace qdylora::QD_LEVEL
