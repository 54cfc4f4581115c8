#pragma once
#include "few-rows.h"

// Products of few rows over the whole depth at once, as fast as memory gives the weight: their sums have an
// order of their own, so they are not for a batch-invariant backend.
namespace qdylora::QD_LEVEL {

// The columns [column, column + columns) of the rows [row0, row0 + rows) of C. `add`: to what stands in C.
// `scratch`: GROUP_FLOATS floats of the thread's own; `isPacked`: they still hold what they held
// after the same term's columns before.
struct WholeDepth {
  Size row0, rows, column, columns;
  const Destination& to;
  bool add;
  float* scratch;
  bool isPacked;
};

// A tiled 4-bit weight (whole panels of columns); true where this level has the product in this form.
bool multipliesTiled(const Term& t, Size rows);
void multiplyTiledRows(const Term& t, const WholeDepth& task);

// A dense weight whose rows are the columns.
bool multipliesDenseRows(const Term& t, Size rows);
void multiplyDenseRows(const Term& t, const WholeDepth& task);

// A further term whose dense matrix has the columns as its own (the second half of an adapter): added to what
// stands in C.
bool addsDenseColumns(const Term& t, Size rows);
void addDenseColumns(const Term& t, const WholeDepth& task);

}  // namespace qdylora::QD_LEVEL
