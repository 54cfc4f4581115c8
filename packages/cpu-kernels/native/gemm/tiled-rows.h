#pragma once
#include "few-rows.h"

// A product of few rows with a tiled 4-bit weight, over the whole depth at once, as fast as memory gives the weight. Its sums have an order of their own.
namespace qdylora::QD_LEVEL {

// True where this level has the product in this form.
bool multipliesTiled(const Term& t, Size rows);

// The columns [column, column + columns), whole panels, of the rows [row0, row0 + rows) of C. `add`: to what stands in C. `scratch`: GROUP_FLOATS floats of the thread's own.
struct TiledRows { Size row0, rows, column, columns; const Destination& to; bool add; float* scratch; };
void multiplyTiledRows(const Term& t, const TiledRows& task);

}  // namespace qdylora::QD_LEVEL
