#pragma once
#include "blocking.h"

// Sums that are stored while the next tile is computed.
namespace qdylora::QD_LEVEL {

// Where a tile of sums goes: C[m][n], whose first element is at `f32` or at `half`; one of them is set.
struct LateTile {
  const float* before;  // sums that these are added to, or nullptr
  Size beforeStride;
  float* f32;
  BFloat16* half;
  Size stride;
  bool past = false;    // past the caches: rows are whole cache lines
  bool across = false;  // sums are in order [n][m]; only then do the next two apply
  bool add = false;     // the sums are added to C as well
  Size columns = 0;     // how many n exist
};

// The sums of a tile, added or stored a few rows at a time while the next tile is computed. Stores of a whole
// tile at once delay the reading of operands until its cache lines have come. On Granite Rapids, 2026:
// - a large C from memory (576 deep): 952 GFLOP/s a core; late and past the caches 2,174; without C 2,736
// - sums of an earlier block from the second level: 101 cycles per 32 steps; late 83; the products alone 64
class LateRows {
 public:
  // Room for the next tile: rows of PANEL floats, side by side.
  QD_INLINE float* room() { return rows_[slot_]; }
  // Takes over what was written to `room`: sums of `rows` rows of C.
  QD_INLINE void hand(const LateTile& tile, Size rows) {
    finish();
    from_ = rows_[slot_];
    tile_ = tile;
    left_ = rows;
    slot_ ^= 1;
  }
  QD_INLINE void step() {
    if (left_ == 0) return;
    if (tile_.across) return stepAcross();
    stepAlong();
    if (left_) stepAlong();
  }
  QD_INLINE void finish() {
    while (left_ > 0) step();
  }

 private:
  static constexpr Size ACROSS = 4;

  QD_INLINE void stepAlong() {
    F32x low = load(from_);
    F32x high = load(from_ + WIDTH);
    if (tile_.before) {
      low += load(tile_.before);
      high += load(tile_.before + WIDTH);
      tile_.before += tile_.beforeStride;
    }
    if (tile_.half) {
      write(tile_.half, pairsToBf16(low, high));
      tile_.half += tile_.stride;
    } else {
      write(tile_.f32, asI32(low));
      write(tile_.f32 + WIDTH, asI32(high));
      tile_.f32 += tile_.stride;
    }
    from_ += PANEL;
    left_--;
  }
  // 4 rows of C, which are columns of the sums.
  QD_INLINE void stepAcross() {
    const Size count = smaller(ACROSS, left_);
    F32x low[ACROSS], high[ACROSS] = {};
    readAcross(0, low);
    if (tile_.columns > WIDTH) readAcross(WIDTH, high);
    for (Size i = 0; i < count; i++) {
      if (tile_.half) {
        finishHalf(low[i], high[i]);
        tile_.half += tile_.stride;
      } else {
        finishFloats(0, low[i]);
        if (tile_.columns > WIDTH) finishFloats(WIDTH, high[i]);
        tile_.f32 += tile_.stride;
      }
    }
    from_ += ACROSS;
    if (tile_.before) tile_.before += ACROSS;
    left_ -= count;
  }
  QD_INLINE void readAcross(Size n, F32x (&out)[ACROSS]) const {
    columnsOf(from_ + n * PANEL, out);
    if (tile_.before) {
      F32x before[ACROSS];
      columnsOf(tile_.before + n * PANEL, before);
#pragma GCC unroll 4
      for (Size i = 0; i < ACROSS; i++) out[i] += before[i];
    }
  }
  QD_INLINE int existing(Size n) const { return static_cast<int>(smaller<Size>(WIDTH, tile_.columns - n)); }
  QD_INLINE void finishFloats(Size n, F32x sum) {
    const int exist = existing(n);
    float* to = tile_.f32 + n;
    if (tile_.add) sum += loadFirst(to, exist);
    if (exist == WIDTH)
      write(to, asI32(sum));
    else
      storeFirst(to, sum, exist);
  }
  QD_INLINE void finishHalf(F32x low, F32x high) {
    BFloat16* to = tile_.half;
    const int first = existing(0);
    const int second = tile_.columns > WIDTH ? existing(WIDTH) : 0;
    if (tile_.add) {
      low += loadFirst(to, first);
      if (second) high += loadFirst(to + WIDTH, second);
    }
    if (second == WIDTH) return write(to, pairsToBf16(low, high));
    storeFirst(to, low, first);
    if (second) storeFirst(to + WIDTH, high, second);
  }
  // The first 4 columns of WIDTH rows of PANEL floats.
  static QD_INLINE void columnsOf(const float* from, F32x (&out)[ACROSS]) {
#if defined(__AVX512F__) && QD_WIDTH == 16
    // Quarter q of a register: the four numbers of row 4q + i; then 4 × 4 squares are transposed in the
    // quarters.
    __m512 a[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
      const float* row = from + static_cast<Size>(i) * PANEL;
      a[i] = _mm512_castps128_ps512(_mm_loadu_ps(row));
      a[i] = _mm512_mask_broadcast_f32x4(a[i], 0x00f0, _mm_loadu_ps(row + 4 * PANEL));
      a[i] = _mm512_mask_broadcast_f32x4(a[i], 0x0f00, _mm_loadu_ps(row + 8 * PANEL));
      a[i] = _mm512_mask_broadcast_f32x4(a[i], 0xf000, _mm_loadu_ps(row + 12 * PANEL));
    }
    const __m512d b[4] = {
        _mm512_castps_pd(_mm512_unpacklo_ps(a[0], a[1])), _mm512_castps_pd(_mm512_unpackhi_ps(a[0], a[1])),
        _mm512_castps_pd(_mm512_unpacklo_ps(a[2], a[3])), _mm512_castps_pd(_mm512_unpackhi_ps(a[2], a[3]))};
    out[0] = (F32x)_mm512_unpacklo_pd(b[0], b[2]);
    out[1] = (F32x)_mm512_unpackhi_pd(b[0], b[2]);
    out[2] = (F32x)_mm512_unpacklo_pd(b[1], b[3]);
    out[3] = (F32x)_mm512_unpackhi_pd(b[1], b[3]);
#else
    for (Size i = 0; i < ACROSS; i++) {
      F32x column{};
      for (Size r = 0; r < WIDTH; r++) column[r] = from[r * PANEL + i];
      out[i] = column;
    }
#endif
  }
  QD_INLINE void write(void* to, I32x line) { storeLine(to, line, tile_.past); }
  alignas(64) float rows_[2][2 * AMX_ROWS * PANEL];
  int slot_ = 0;
  const float* from_ = nullptr;
  LateTile tile_{};
  Size left_ = 0;
};

}  // namespace qdylora::QD_LEVEL
