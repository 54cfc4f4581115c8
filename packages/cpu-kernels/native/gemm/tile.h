#pragma once
#include "blocking.h"

// The innermost product: one tile of C stays in registers while a depth block passes by.
namespace qdylora::QD_LEVEL {

// What a tile does with the C that it finds.
enum class Start { overwrite, bias, add };

// A part of the depth: its stripe and its panel.
struct Segment {
  const float* stripe;  // [words][rows], or tiles
  const float* panel;   // [words][PANEL]
  Size words;
};

struct TileTask {
  const Segment* segments;
  int count;
  bool pairs;           // a word is two bf16 numbers
  float* c;             // first element of the tile
  Size stride;
  BFloat16* half;       // where the sums go instead, rounded: to C itself, once they are whole; else nullptr
  Size halfStride;
  bool addsHalf;        // to what stands there
  Size columns;         // ≤ PANEL that exist in C
  Start start;
  const float* bias;    // of the tile's first column
};

// 1 ≤ rows ≤ stripeRows(pairs). In tiles inside the life of a TileRegisters.
void multiplyTile(Size rows, const TileTask& task);
void multiplyAmxTiles(Size rows, const TileTask& task);

}  // namespace qdylora::QD_LEVEL
