#pragma once
#include "blocking.h"

// The innermost product: one tile of C stays in registers while a depth block passes by.
namespace qdylora::QD_LEVEL {

// What a tile does with the C that it finds.
enum class Start { overwrite, bias, add };

// Whole rows of a tile of C on their way to memory, past the caches: few at a time, while the next tile is made. Stores of a large C in one go would hold up the reading of operands until its lines had
// come from memory (952 GFLOP/s a core; late and past the caches 2,174; 2,736 without C; 576 deep, Granite Rapids, 2026).
class LateRows {
 public:
  // Room for the next tile: rows of 64 or 128 bytes, side by side.
  QD_INLINE float* room() { return rows_[slot_]; }
  // Takes over what was written to `room`: rows of `lines` cache lines.
  QD_INLINE void hand(void* to, Size strideBytes, Size lines, Size rows) {
    finish();
    from_ = reinterpret_cast<const char*>(rows_[slot_]);
    to_ = static_cast<char*>(to);
    stride_ = strideBytes;
    lines_ = lines;
    left_ = rows;
    slot_ ^= 1;
  }
  QD_INLINE void step() {
    if (left_ == 0) return;
    for (Size i = 0; i < lines_; i++, from_ += 64) streamLine(to_ + 64 * i, from_);
    to_ += stride_;
    left_--;
  }
  QD_INLINE void finish() { while (left_ > 0) step(); }

 private:
  alignas(64) float rows_[2][2 * AMX_ROWS * PANEL];
  int slot_ = 0;
  const char* from_ = nullptr;
  char* to_ = nullptr;
  Size stride_ = 0, lines_ = 0, left_ = 0;
};

// A part of the depth: its stripe and its panel.
struct Segment {
  const float* stripe;  // [words][rows], or tiles
  const float* panel;   // [words][PANEL]
  Size words;
};

// C apart from the sums: neither set (the sums are C), or as floats or rounded. `late`: its rows may be written while the next tile is made.
struct Finished {
  float* f32;
  BFloat16* half;
  Size stride;
  bool add;             // to what stands there
  LateRows* late;
};
// Some whole sums of one row, on their way to `at` elements from where C begins.
QD_INLINE void finishRow(const Finished& to, Size at, const float* sums, Size columns) {
  for (Size n = 0; n < columns; n += WIDTH) {
    const int exist = static_cast<int>(smaller<Size>(WIDTH, columns - n));
    const F32x sum = loadFirst(sums + n, exist);
    if (to.half) storeFirst(to.half + at + n, to.add ? sum + loadFirst(to.half + at + n, exist) : sum, exist);
    else storeFirst(to.f32 + at + n, to.add ? sum + loadFirst(to.f32 + at + n, exist) : sum, exist);
  }
}
QD_INLINE Finished nowhere() { return {nullptr, nullptr, 0, false, nullptr}; }

struct TileTask {
  const Segment* segments;
  int count;
  bool pairs;           // a word is two bf16 numbers
  float* c;             // first element of the tile: C, or sums that are not whole yet
  Size stride;
  Finished to;          // where whole sums go instead
  Size columns;         // ≤ PANEL that exist in C
  Start start;
  const float* bias;    // of the tile's first column
};

// 1 ≤ rows ≤ stripeRows(pairs). In tiles inside the life of a TileRegisters.
void multiplyTile(Size rows, const TileTask& task);
void multiplyAmxTiles(Size rows, const TileTask& task);

}  // namespace qdylora::QD_LEVEL
