// Packs panels of B from a dense matrix, f32 or bf16, as it stands or transposed, rounded to bf16 where asked.
// The caller's thread owns the group of panels. Lanes are columns; a transposed matrix passes through a square of WIDTH × WIDTH registers.
// Reads 4 (2) and writes 4 bytes per element, 0.4–0.6 cycles: 7 % of a product with 32 rows, 1 % with 256 (Zen 3, 2026).
// Assumes nothing about alignment; reads only what exists, except prefetches.
// Tried and dropped: panel by panel without prefetch (−8 % at 2048², M = 256: rows 8 KiB apart miss the second level one by one); a prefetch of the next rows in the transposed case (no gain).
#include "../gemm/columns.h"

namespace qdylora::QD_LEVEL {
namespace {

QD_INLINE F32x readFirst(const float* p, int n) { return loadFirst(p, n); }
QD_INLINE F32x readFirst(const BFloat16* p, int n) {
  if (n >= WIDTH) return loadBf16(p);
  F32x v{};
  for (int i = 0; i < n; i++) v[i] = fromBf16(p[i]);
  return v;
}

// B(k, n) = data[k · stride + n]. T: float or BFloat16. ROUND: to bf16 first.
template <class T, bool ROUND>
struct DenseColumns {
  static constexpr Size AHEAD = 8;
  const T* data;
  Size stride;

  // Row by row over all panels: a row's cache lines come in one go, however far apart the rows stand.
  void pack(Size column0, Size columns, Size k0, Size depth, float* out) const {
    const T* row = data + k0 * stride + column0;
    for (Size k = 0; k < depth; k++, row += stride, out += PANEL) {
      float* to = out;
      Size n = 0;
      for (Size ahead = 0; ahead < columns; ahead += 64 / sizeof(T)) __builtin_prefetch(row + AHEAD * stride + ahead);
      for (; n + PANEL <= columns; n += PANEL, to += PANEL * depth) {
        const F32x v0 = readFirst(row + n, WIDTH), v1 = readFirst(row + n + WIDTH, WIDTH);
        store(to, ROUND ? roundToBf16(v0) : v0);
        store(to + WIDTH, ROUND ? roundToBf16(v1) : v1);
      }
      for (; n < columns; n += PANEL) {
        const int low = static_cast<int>(smaller<Size>(WIDTH, columns - n)), high = static_cast<int>(columns - n) - low;
        const F32x v0 = readFirst(row + n, low), v1 = high ? readFirst(row + n + WIDTH, high) : F32x{};
        store(to, ROUND ? roundToBf16(v0) : v0);
        store(to + WIDTH, ROUND ? roundToBf16(v1) : v1);
      }
    }
  }
};

// B(k, n) = data[n · stride + k]: a weight [out, in] whose rows are the columns of B.
template <class T, bool ROUND>
struct DenseRows {
  const T* data;
  Size stride;

  void pack(Size column0, Size columns, Size k0, Size depth, float* out) const {
    for (Size p = 0; p < roundUp(columns, PANEL); p += WIDTH) {
      float* group = out + p / PANEL * PANEL * depth + p % PANEL;
      if (p < columns) packGroup(data + (column0 + p) * stride + k0, smaller<Size>(WIDTH, columns - p), depth, group);
      else for (Size k = 0; k < depth; k++) store(group + k * PANEL, F32x{});
    }
  }

  // WIDTH rows of the weight → WIDTH columns of one panel.
  QD_INLINE void packGroup(const T* first, Size rows, Size depth, float* out) const {
    for (Size k = 0; k < depth; k += WIDTH) {
      const int count = static_cast<int>(smaller<Size>(WIDTH, depth - k));
      I32x square[WIDTH];
#pragma GCC unroll 16
      for (Size r = 0; r < WIDTH; r++) {
        const F32x v = r < rows ? readFirst(first + r * stride + k, count) : F32x{};
        square[r] = asI32(ROUND ? roundToBf16(v) : v);
      }
      transpose(square);
      for (int i = 0; i < count; i++) store(out + (k + static_cast<Size>(i)) * PANEL, asF32(square[i]));
    }
  }
};

template <class T, bool ROUND>
QD_INLINE void packAs(const T* data, const Columns& b, Size column0, Size columns, Size k0, Size depth, float* out) {
  if (b.transposed) DenseRows<T, ROUND>{data, b.stride}.pack(column0, columns, k0, depth, out);
  else DenseColumns<T, ROUND>{data, b.stride}.pack(column0, columns, k0, depth, out);
}

}  // namespace

void packDensePanels(const Columns& b, Size column0, Size columns, Size k0, Size depth, float* out) {
  if (b.bf16) packAs<BFloat16, false>(b.bf16, b, column0, columns, k0, depth, out);  // rounded already
  else if (b.round) packAs<float, true>(b.f32, b, column0, columns, k0, depth, out);
  else packAs<float, false>(b.f32, b, column0, columns, k0, depth, out);
}

}  // namespace qdylora::QD_LEVEL
