#pragma once
#include "blocking.h"

// The B operand from a dense matrix, packed into panels [depth][PANEL]; columns that do not exist are zeros.
namespace qdylora::QD_LEVEL {

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
  const T* data;
  Size stride;

  void pack(Size column0, Size columns, Size k0, Size depth, float* out) const {
    for (Size p = 0; p < columns; p += PANEL) {
      const T* row = data + k0 * stride + column0 + p;
      const int low = static_cast<int>(smaller<Size>(WIDTH, columns - p)), high = columns - p > WIDTH ? static_cast<int>(smaller<Size>(WIDTH, columns - p - WIDTH)) : 0;
      for (Size k = 0; k < depth; k++) {
        const F32x v0 = readFirst(row, low), v1 = high ? readFirst(row + WIDTH, high) : F32x{};
        store(out, ROUND ? roundToBf16(v0) : v0);
        store(out + WIDTH, ROUND ? roundToBf16(v1) : v1);
        row += stride;
        out += PANEL;
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

// Calls body(B) with the weight as B = Wᵀ (its rows become columns): forward.
template <class Body>
QD_INLINE void withWeightRows(const float* f32, const BFloat16* bf16, Size stride, bool round, const Body& body) {
  if (bf16) body(DenseRows<BFloat16, false>{bf16, stride});
  else if (round) body(DenseRows<float, true>{f32, stride});
  else body(DenseRows<float, false>{f32, stride});
}

// Calls body(B) with the matrix as it stands: input gradients, and x in weight gradients.
template <class Body>
QD_INLINE void withColumns(const float* f32, const BFloat16* bf16, Size stride, bool round, const Body& body) {
  if (bf16) body(DenseColumns<BFloat16, false>{bf16, stride});
  else if (round) body(DenseColumns<float, true>{f32, stride});
  else body(DenseColumns<float, false>{f32, stride});
}

}  // namespace qdylora::QD_LEVEL
