#pragma once
#include "few-rows.h"

// Products of few rows over the whole depth at once, as fast as memory gives the weight: their sums have an
// order of their own, so they are not for a batch-invariant backend.
namespace qdylora::QD_LEVEL {

// A rectangle of C, and how it is computed.
struct WholeDepth {
  Size row0, rows;        // rows [row0, row0 + rows) of C
  Size column, columns;   // columns [column, column + columns) of C
  const Destination& to;  // C
  bool add;               // to what is in C
  float* scratch;         // GROUP_FLOATS floats of the thread
  bool isPacked;          // `scratch` still holds the packed rows of A, from other columns of the same term
};

// A tiled 4-bit weight (whole panels of columns); true where this level has the product in this form.
bool multipliesTiled(const Term& t, Size rows);
void multiplyTiledRows(const Term& t, const WholeDepth& task);

// A dense weight whose rows are the columns.
bool multipliesDenseRows(const Term& t, Size rows);
void multiplyDenseRows(const Term& t, const WholeDepth& task);

// A further term whose dense matrix is not transposed (the second half of an adapter): added to C.
bool addsDenseColumns(const Term& t, Size rows);
void addDenseColumns(const Term& t, const WholeDepth& task);

}  // namespace qdylora::QD_LEVEL
