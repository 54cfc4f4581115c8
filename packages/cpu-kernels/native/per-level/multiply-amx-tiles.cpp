// Computes: up to 32 × 32 floats of C (+)= stripe · panel in the tile registers of AMX: 2 × 2 tiles of sums,
//   two of A, two of B.
// Owners: the caller's thread owns this part of C and has set its tile registers up. The two tiles of a panel
//   are side by side, 128 bytes a row; those of a stripe one after the other.
// Cost: per 32 steps of the depth, 4 products in 64 cycles and 4 loads of 1 KiB (10 cycles each from the
//   first level, 23 from the second; Sapphire Rapids, 2026). A is read past the first level, so that the
//   panel stays there.
// Assumes: stripes and panels packed as gemm/blocking.h says. Sums run over the depth in the order of the
//   instruction, tile by tile, and are added to C at the end. Whole tiles of a float32 C that is not added to
//   are written directly; other sums wait in 4 KiB of the thread, and are finished while the next tile is
//   computed.
// Dropped: see gemm/late-rows.h, for sums that do not wait.
#include "../gemm/bias-across.h"
#include "../gemm/tile.h"

namespace qdylora::QD_LEVEL {

#if defined(QD_TILES)
namespace {

constexpr Size PANEL_BYTES = PANEL * 4;
constexpr Size AMX_TILE_BYTES = AMX_ROWS * 64;

// Sums that do not wait: of a tile of few columns, or added to a finished C.
void writeNow(const float* sums, Size rows, const TileTask& t) {
  const bool isApart = t.to.f32 || t.to.half;
  for (Size r = 0; r < rows; r++, sums += PANEL) {
    float* c = t.c + r * t.stride;
    float row[PANEL];
    for (Size n = 0; n < t.columns; n += WIDTH) {
      const int exist = static_cast<int>(smaller<Size>(WIDTH, t.columns - n));
      const F32x sum = load(sums + n) + (t.start == Start::add ? loadFirst(c + n, exist) : F32x{});
      if (isApart)
        store(row + n, sum);
      else
        storeFirst(c + n, sum, exist);
    }
    if (isApart) finishRow(t.to, r * t.to.stride, row, t.columns);
  }
}

LateTile lateTile(const TileTask& t) {
  const bool adds = t.start == Start::add;
  const float* before = adds ? t.c : nullptr;
  if (t.to.f32 || t.to.half) return {before, t.stride, t.to.f32, t.to.half, t.to.stride, t.to.past};
  return {before, t.stride, t.c, nullptr, t.stride};
}

// Prefetches what another tile will read, as its segment says.
class Ahead {
 public:
  explicit QD_INLINE Ahead(const TileTask& t) : lines_(t.aheadLines) {}
  QD_INLINE void begin(const DepthSegment& s) { at_ = s.ahead; }
  QD_INLINE void step() {
    if (!at_) return;
    for (Size i = 0; i < lines_; i++, at_ += AMX_WORDS) __builtin_prefetch(at_, 0, 1);
  }

 private:
  const float* at_ = nullptr;
  Size lines_;
};

template <int HIGH, int WIDE>
void multiplyTiles(Size rows, const TileTask& t) {
  const bool isApart = t.to.f32 || t.to.half;
  const bool isWhole = rows == HIGH * AMX_ROWS && t.columns == WIDE * AMX_ROWS;
  const bool isDirect = isWhole && !isApart && t.start != Start::add;
  LateRows& late = *t.late;
  QD_TILE_FENCE;
  if (t.start != Start::bias)
    clearTiles<HIGH, WIDE>();
  else if (t.columns == WIDE * AMX_ROWS)
    loadTiles<HIGH, WIDE>(t.bias, 0, 0);
  else {
    alignas(64) float bias[PANEL] = {};
    for (Size n = 0; n < t.columns; n++) bias[n] = t.bias[n];
    loadTiles<HIGH, WIDE>(bias, 0, 0);
    QD_TILE_FENCE;
  }
  // Rows that were left over go out, and those of C that will be written come in.
  const float* row = t.c;
  Size left = isDirect ? rows : 0;
  Ahead ahead(t);
  const auto each = [&] {
    ahead.step();
    late.step();
#pragma GCC unroll 2
    for (int r = 0; r < 2; r++) {
      if (left == 0) return;
      __builtin_prefetch(row, 1);
      __builtin_prefetch(row + 16, 1);
      row += t.stride;
      left--;
    }
  };
  for (int i = 0; i < t.count; i++) {
    ahead.begin(t.segments[i]);
    addTileProducts<HIGH, WIDE, Stream::left>(
        {t.segments[i].stripe, 64, AMX_TILE_BYTES, HIGH * AMX_TILE_BYTES},
        {t.segments[i].panel, PANEL_BYTES, 64, AMX_WORDS * PANEL_BYTES}, t.segments[i].words, each);
  }
  if (isDirect) {
    late.finish();  // it may be of the sums that stood here
    storeTiles<HIGH, WIDE>(t.c, t.stride * 4);
    QD_TILE_FENCE;
    return;
  }
  storeTiles<HIGH, WIDE>(late.room(), PANEL_BYTES);
  QD_TILE_FENCE;
  if (t.columns == PANEL && !t.to.add) return late.hand(lateTile(t), rows);
  late.finish();  // it may be of the sums that these are added to
  writeNow(late.room(), rows, t);
}

template <int HIGH, int WIDE>
void multiplyTilesAcross(Size rows, const TileTask& t) {
  const bool isLast = t.to.f32 || t.to.half;
  const bool adds = t.start == Start::add;
  LateRows& late = *t.late;
  QD_TILE_FENCE;
  if (t.start == Start::bias)
    loadBiasAcross<HIGH, WIDE>(t.bias, t.columns, late.room());
  else
    clearTiles<HIGH, WIDE>();
  for (int i = 0; i < t.count; i++) {
    addTileProducts<HIGH, WIDE, Stream::right>(
        {t.segments[i].stripe, 64, AMX_TILE_BYTES, HIGH * AMX_TILE_BYTES},
        {t.segments[i].panel, 64, AMX_TILE_BYTES, 2 * AMX_TILE_BYTES}, t.segments[i].words,
        [&] { late.step(); });
  }
  if (!isLast && !adds) {
    late.finish();  // it may be of the sums that stood here
    storeTiles<HIGH, WIDE>(t.c, PANEL_BYTES);
    QD_TILE_FENCE;
    return;
  }
  storeTiles<HIGH, WIDE>(late.room(), PANEL_BYTES);
  QD_TILE_FENCE;
  if (isLast)
    late.hand(
        {adds ? t.c : nullptr, PANEL, t.to.f32, t.to.half, t.to.stride, t.to.past, true, t.to.add, t.columns},
        rows);
  else
    late.hand({t.c, PANEL, t.c, nullptr, PANEL}, HIGH * AMX_ROWS);
}

}  // namespace

void multiplyAmxTiles(Size rows, const TileTask& t) {
  const bool high = rows > AMX_ROWS;
  const bool wide = t.columns > AMX_ROWS;
  if (high && wide)
    multiplyTiles<2, 2>(rows, t);
  else if (high)
    multiplyTiles<2, 1>(rows, t);
  else if (wide)
    multiplyTiles<1, 2>(rows, t);
  else
    multiplyTiles<1, 1>(rows, t);
}

void multiplyAcross(Size rows, const TileTask& t) {
  const bool high = t.columns > AMX_ROWS;
  const bool wide = rows > AMX_ROWS;
  if (high && wide)
    multiplyTilesAcross<2, 2>(rows, t);
  else if (high)
    multiplyTilesAcross<2, 1>(rows, t);
  else if (wide)
    multiplyTilesAcross<1, 2>(rows, t);
  else
    multiplyTilesAcross<1, 1>(rows, t);
}
#else
void multiplyAmxTiles(Size, const TileTask&) {}
void multiplyAcross(Size, const TileTask&) {}
#endif

}  // namespace qdylora::QD_LEVEL
