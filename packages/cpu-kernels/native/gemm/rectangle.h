#pragma once
#include "policy.h"

// One thread's part of one product in one row block.
namespace qdylora::QD_LEVEL {

// A thread's own scratch, and sums of its last tile that are still on their way.
struct Room {
  float* panels;  // GROUP_FLOATS: the packed panels of a group
  float* scales;  // SCALES_FLOATS: the scales of panels of levels
  float* sums;    // sumsFloats(m): sums of a group that are not whole yet
  LateRows* late;
};

struct Rectangle {
  Range tiles;     // stripes of the row block
  Range panels;    // panels of the product
  bool continues;  // the thread's last rectangle was of the same product, and `panels` is as that left it
};

// C (+)= Σ A·B of the rectangle. `packed`: the stripes of the row block, term after term.
void multiplyRectangle(const Threads& threads, const Job& job, const RowBlock& block, const Rectangle& mine,
                       const float* packed, const Room& room);

// The same for few rows across (readsAcross), by columns [32 · panels.begin, 32 · panels.end) of C: the terms
// of a job from `first` on.
void multiplyFewAcross(const Job& job, int first, const RowBlock& block, Range panels, const float* packed,
                       const Room& room);

}  // namespace qdylora::QD_LEVEL
