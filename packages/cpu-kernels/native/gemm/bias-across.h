#pragma once
#include "late-rows.h"

// Sums with the operands in each other's place, [n][m], that start from the biases of their columns n.
namespace qdylora::QD_LEVEL {

#if defined(QD_TILES)
// `bias`: of the first of `columns` n. `room`: rows of PANEL floats, for up to 32 n.
template <int HIGH, int WIDE>
QD_INLINE void loadBiasAcross(const float* bias, Size columns, float* room) {
  for (Size n = 0; n < HIGH * AMX_ROWS; n++) {
    const F32x value = all(n < columns ? bias[n] : 0.f);
    for (Size m = 0; m < WIDE * AMX_WORDS; m += WIDTH) store(room + n * PANEL + m, value);
  }
  QD_TILE_FENCE;
  loadTiles<HIGH, WIDE>(room, PANEL * 4, AMX_ROWS * PANEL * 4);
}
#endif

}  // namespace qdylora::QD_LEVEL
