// Up to 32 × 32 floats of C (+)= stripe · panel in the tile registers of AMX: 2 × 2 tiles of sums, two of A, two of B.
// The caller's thread owns this part of C and has set its tile registers up. A panel's two tiles stand side by side, 128 bytes a row; a stripe's one after the other.
// A step of 32 numbers of the depth: 4 products in 64 cycles, 4 loads of 1 KiB (10 cycles each from the first level, 23 from the second; Sapphire Rapids, 2026). A is read past the first level,
// so that the panel stays there.
// C is read and written as it lies where the tiles are whole and it is float32; else through 4 KiB of the thread's stack. Sums run over the depth in the order of the instruction, tile by tile.
#include "../gemm/tile.h"

namespace qdylora::QD_LEVEL {

#if defined(QD_TILES)
namespace {

constexpr Size PANEL_BYTES = PANEL * 4, TILE_BYTES = AMX_ROWS * 64;

// Whole rows of `sums` rounded where C is, and handed over.
QD_INLINE void finishLate(const float* sums, Size rows, const TileTask& t) {
  LateRows& late = *t.to.late;
  if (t.to.f32) return late.hand(t.to.f32, t.to.stride * 4, 2, rows);  // the sums stand in its room
  float* to = late.room();
  for (Size r = 0; r < rows; r++, sums += PANEL, to += WIDTH) storeI32(to, pairsToBf16(load(sums), load(sums + WIDTH)));
  late.hand(t.to.half, t.to.stride * 2, 1, rows);
}

// What part of a whole set of tiles, [rows][32] at `sums`, starts from: C or the bias. So a sum has one order, be its tiles whole or not.
void readPart(float* sums, Size rows, Size height, const TileTask& t) {
  for (Size n = 0; n < PANEL; n += WIDTH) {
    const int exist = t.columns > n ? static_cast<int>(smaller<Size>(WIDTH, t.columns - n)) : 0;
    const F32x bias = t.start == Start::bias ? loadFirst(t.bias + (exist ? n : 0), exist) : F32x{};
    for (Size r = 0; r < height; r++) store(sums + r * PANEL + n, r < rows && t.start == Start::add ? loadFirst(t.c + r * t.stride + (exist ? n : 0), exist) : bias);
  }
}

void writePart(const float* sums, Size rows, const TileTask& t) {
  for (Size n = 0; n < t.columns; n += WIDTH) {
    const int exist = static_cast<int>(smaller<Size>(WIDTH, t.columns - n));
    for (Size r = 0; r < rows; r++) storeFirst(t.c + r * t.stride + n, load(sums + r * PANEL + n), exist);
  }
}

template <int HIGH, int WIDE>
void multiplyTiles(Size rows, const TileTask& t) {
  const bool whole = rows == HIGH * AMX_ROWS && t.columns == WIDE * AMX_ROWS;
  alignas(64) float sums[2 * AMX_ROWS * PANEL];
  if (!whole && t.start != Start::overwrite) readPart(sums, rows, HIGH * AMX_ROWS, t);
  QD_TILE_FENCE;
  if (t.start == Start::overwrite) clearTiles<HIGH, WIDE>();
  else if (!whole) loadTiles<HIGH, WIDE>(sums, PANEL_BYTES, AMX_ROWS * PANEL_BYTES);
  else if (t.start == Start::add) loadTiles<HIGH, WIDE>(t.c, t.stride * 4, AMX_ROWS * t.stride * 4);
  else loadTiles<HIGH, WIDE>(t.bias, 0, 0);
  // Rows that were left over go out, and those of C that will be written come in.
  const bool isApart = t.to.f32 || t.to.half;
  const float* row = t.c;
  Size left = isApart || t.start == Start::add ? 0 : rows;
  const auto each = [&] {
#pragma GCC unroll 2
    for (int r = 0; r < 2; r++) {
      if (t.to.late) t.to.late->step();
      if (left == 0) continue;
      __builtin_prefetch(row, 1);
      __builtin_prefetch(row + 16, 1);
      row += t.stride;
      left--;
    }
  };
  for (int i = 0; i < t.count; i++) {
    addTileProducts<HIGH, WIDE, true>({t.segments[i].stripe, 64, TILE_BYTES, HIGH * TILE_BYTES}, {t.segments[i].panel, PANEL_BYTES, 64, AMX_WORDS * PANEL_BYTES}, t.segments[i].words, each);
  }
  if (whole && !isApart) {
    storeTiles<HIGH, WIDE>(t.c, t.stride * 4);
    QD_TILE_FENCE;
    return;
  }
  const bool isLate = t.to.late && t.columns == PANEL && !t.to.add;
  float* const at = isLate && t.to.f32 ? t.to.late->room() : sums;
  storeTiles<HIGH, WIDE>(at, PANEL_BYTES);
  QD_TILE_FENCE;
  if (isLate) finishLate(at, rows, t);
  else if (isApart) for (Size r = 0; r < rows; r++) finishRow(t.to, r * t.to.stride, at + r * PANEL, t.columns);
  else writePart(at, rows, t);
}

}  // namespace

void multiplyAmxTiles(Size rows, const TileTask& t) {
  const bool high = rows > AMX_ROWS, wide = t.columns > AMX_ROWS;
  if (high && wide) multiplyTiles<2, 2>(rows, t);
  else if (high) multiplyTiles<2, 1>(rows, t);
  else if (wide) multiplyTiles<1, 2>(rows, t);
  else multiplyTiles<1, 1>(rows, t);
}
#else
void multiplyAmxTiles(Size, const TileTask&) {}
#endif

}  // namespace qdylora::QD_LEVEL
