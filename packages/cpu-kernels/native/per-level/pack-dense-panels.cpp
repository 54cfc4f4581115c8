// Computes: packed panels of B from a dense matrix, f32 or bf16, as it is or transposed, rounded to bf16
//   where asked (one step of the depth to a word, or two).
// Owners: the caller's thread owns the group of panels. Lanes are columns; a transposed matrix passes through
//   a square of WIDTH × WIDTH registers.
// Cost: reads 4 (bf16: 2) and writes 4 bytes per element in 0.4 to 0.6 cycles: 7 % of a product with 32 rows,
//   1 % with 256 (Zen 3, 2026).
// Assumes: no alignment; reads only what exists, except for prefetches.
// Dropped: panel by panel without prefetch (−8 % speed at 2048², M = 256: rows 8 KiB apart miss the second
//   level one by one); a prefetch of the next rows in the transposed case (no gain).
#include "../gemm/read-words.h"

namespace qdylora::QD_LEVEL {
namespace {

// B(k, n) = data[k · stride + n]. T: float or BFloat16.
template <class T, Form FORM>
struct DenseColumns {
  static constexpr Size AHEAD = 8;
  const T* data;
  Size stride;

  // Row by row over all panels: a row's cache lines come in one go, however far apart the rows are.
  void pack(Size column0, Size columns, Size k0, Size depth, float* out) const {
    const T* row = data + k0 * stride + column0;
    for (Size k = 0; k < depth; k += STEP<FORM>, row += STEP<FORM> * stride, out += PANEL) {
      float* to = out;
      Size n = 0;
      const bool last = k + 1 == depth;
      for (Size step = 0; step < STEP<FORM>; step++) {
        for (Size ahead = 0; ahead < columns; ahead += 64 / sizeof(T))
          __builtin_prefetch(row + (AHEAD + step) * stride + ahead);
      }
      for (; n + PANEL <= columns; n += PANEL, to += PANEL * wordsOf(depth, FORM == Form::pairs)) {
        store(to, wordsAcross<FORM>(row + n, stride, WIDTH, last));
        store(to + WIDTH, wordsAcross<FORM>(row + n + WIDTH, stride, WIDTH, last));
      }
      if (n == columns) continue;
      const int low = static_cast<int>(smaller<Size>(WIDTH, columns - n));
      const int high = static_cast<int>(columns - n) - low;
      store(to, wordsAcross<FORM>(row + n, stride, low, last));
      store(to + WIDTH, high ? wordsAcross<FORM>(row + n + WIDTH, stride, high, last) : F32x{});
    }
  }
};

// B(k, n) = data[n · stride + k]: a weight [out, in] whose rows are the columns of B.
template <class T, Form FORM>
struct DenseRows {
  static constexpr bool PAIRS = FORM == Form::pairs;
  const T* data;
  Size stride;

  void pack(Size column0, Size columns, Size k0, Size depth, float* out) const {
    for (Size p = 0; p < roundUp(columns, PANEL); p += WIDTH) {
      float* group = out + p / PANEL * PANEL * wordsOf(depth, PAIRS) + p % PANEL;
      if (p < columns)
        packGroup(data + (column0 + p) * stride + k0, smaller<Size>(WIDTH, columns - p), depth, group);
      else
        for (Size k = 0; k < wordsOf(depth, PAIRS); k++) store(group + k * PANEL, F32x{});
    }
  }

  // WIDTH rows of the weight → WIDTH columns of one panel.
  QD_INLINE void packGroup(const T* first, Size rows, Size depth, float* out) const {
    for (Size k = 0; k < depth; k += STEPS<FORM>) {
      const Size count = smaller(STEPS<FORM>, depth - k);
      I32x square[WIDTH];
#pragma GCC unroll 16
      for (Size r = 0; r < WIDTH; r++)
        square[r] = r < rows ? wordsAlong<FORM>(first + r * stride + k, count) : I32x{};
      transpose(square);
      for (Size i = 0; i < wordsOf(count, PAIRS); i++, out += PANEL) store(out, asF32(square[i]));
    }
  }
};

template <Form FORM, class T>
QD_INLINE void packAs(const T* data, const Columns& b, Size column0, Size columns, Size k0, Size depth,
                      float* out) {
  if (b.transposed)
    DenseRows<T, FORM>{data, b.stride}.pack(column0, columns, k0, depth, out);
  else
    DenseColumns<T, FORM>{data, b.stride}.pack(column0, columns, k0, depth, out);
}

}  // namespace

void packDensePanels(const Columns& b, Form form, Size column0, Size columns, Size k0, Size depth,
                     float* out) {
  withForm(form, [&](auto formTag) {
    if (b.bf16)
      packAs<formTag.value>(b.bf16, b, column0, columns, k0, depth, out);
    else
      packAs<formTag.value>(b.f32, b, column0, columns, k0, depth, out);
  });
  fillPanels(form, columns, depth, out);
}

}  // namespace qdylora::QD_LEVEL
