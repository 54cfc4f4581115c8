#pragma once
#include "blocking.h"

// The innermost product: one tile of C stays in registers while a depth block passes by.
namespace qdylora::QD_LEVEL {

// What a tile does with the C that it finds.
enum class Start { overwrite, bias, add };

struct TileTask {
  const float* stripe;  // [depth][rows]
  const float* panel;   // [depth][PANEL]
  Size depth;
  float* c;             // first element of the tile
  Size stride;
  Size columns;         // ≤ PANEL that exist in C
  Start start;
  const float* bias;    // of the tile's first column
};

template <int ROWS>
__attribute__((noinline)) void multiplyTile(const TileTask& task) {
  F32x c[ROWS][2] = {};
  const float *a = task.stripe, *b = task.panel;
  for (Size k = task.depth; k > 0; k--) {
    const F32x b0 = load(b), b1 = load(b + WIDTH);
#pragma GCC unroll 16
    for (int m = 0; m < ROWS; m++) {
      const F32x one = all(a[m]);
      c[m][0] = fma(one, b0, c[m][0]);
      c[m][1] = fma(one, b1, c[m][1]);
    }
    a += ROWS;
    b += PANEL;
  }
  if (task.columns == PANEL) {
    F32x bias0{}, bias1{};
    if (task.start == Start::bias) { bias0 = load(task.bias); bias1 = load(task.bias + WIDTH); }
#pragma GCC unroll 16
    for (int m = 0; m < ROWS; m++) {
      float* row = task.c + static_cast<Size>(m) * task.stride;
      store(row, c[m][0] + (task.start == Start::add ? load(row) : bias0));
      store(row + WIDTH, c[m][1] + (task.start == Start::add ? load(row + WIDTH) : bias1));
    }
    return;
  }
  for (int m = 0; m < ROWS; m++) {
    float* row = task.c + static_cast<Size>(m) * task.stride;
    float sums[PANEL];
    store(sums, c[m][0]);
    store(sums + WIDTH, c[m][1]);
    for (Size n = 0; n < task.columns; n++) row[n] = sums[n] + (task.start == Start::add ? row[n] : task.start == Start::bias ? task.bias[n] : 0.f);
  }
}

QD_INLINE void multiplyTileOf(Size rows, const TileTask& task) {
  switch (rows) {
    case 1: multiplyTile<1>(task); break;
    case 2: multiplyTile<2>(task); break;
    case 3: multiplyTile<3>(task); break;
    case 4: multiplyTile<4>(task); break;
    case 5: multiplyTile<5>(task); break;
    case 6: multiplyTile<6>(task); break;
#if QD_WIDTH == 16
    case 7: multiplyTile<7>(task); break;
    case 8: multiplyTile<8>(task); break;
    case 9: multiplyTile<9>(task); break;
    case 10: multiplyTile<10>(task); break;
    case 11: multiplyTile<11>(task); break;
    case 12: multiplyTile<12>(task); break;
    case 13: multiplyTile<13>(task); break;
    case 14: multiplyTile<14>(task); break;
#endif
    default: __builtin_unreachable();
  }
}

}  // namespace qdylora::QD_LEVEL
