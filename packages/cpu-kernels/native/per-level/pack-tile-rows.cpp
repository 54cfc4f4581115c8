// Computes: one packed stripe of A for tiles, [words / 16][rows, filled up to 16][16 words] of pairs of bf16
//   numbers, from row-major memory (in its order) or column-major (transposed in registers); or its rows as
//   the columns of a panel, transposed in registers too.
// Owners: the caller's thread owns the stripe. Lanes are words along the depth.
// Cost: 4 bytes read and 2 written per element; no shuffles but the rounding where rows stay rows. Eight rows
//   at a time are read 20 % faster from memory than one (14.4 GB/s a core, Granite Rapids, 2026).
// Assumes: no alignment; reads only rows and depths that exist, the rest become zeros.
// Dropped: one row at a time (see Cost).
#include "../gemm/pack-rows.h"

namespace qdylora::QD_LEVEL {

#if defined(QD_TILES)
namespace {

constexpr Size TILE_WORDS = AMX_ROWS * AMX_WORDS;
constexpr Size STEPS = 2 * AMX_WORDS;

// Pairs of `count` ≤ 32 numbers of a row; the rest 0. bf16 numbers pass as they are.
QD_INLINE I32x readPairs(const BFloat16* row, Size count, float) {
  if (count == STEPS) return loadI32(row);
  const Size low = smaller<Size>(WIDTH, count);
  const Size high = count - low;
  return pairsToBf16(loadFirst(row, static_cast<int>(low)),
                     loadFirst(row + (high ? WIDTH : 0), static_cast<int>(high)));
}
QD_INLINE I32x readPairs(const float* row, Size count, float factor) {
  if (count == STEPS) return pairsToBf16(load(row) * factor, load(row + WIDTH) * factor);
  const Size low = smaller<Size>(WIDTH, count);
  const Size high = count - low;
  return pairsToBf16(loadFirst(row, static_cast<int>(low)) * factor,
                     loadFirst(row + (high ? WIDTH : 0), static_cast<int>(high)) * factor);
}

template <class T>
void packRowMajor(const Rows& a, const T* first, Size rows, Size depth, float* out) {
  constexpr Size TOGETHER = 8;
  const Size height = roundUp(rows, AMX_ROWS);
  for (Size row = 0; row < height; row += TOGETHER) {
    for (Size k = 0; k < depth; k += STEPS) {
      const Size count = smaller(STEPS, depth - k);
      float* to = out + (k / STEPS * height + row) * AMX_WORDS;
#pragma GCC unroll 8
      for (Size i = 0; i < TOGETHER; i++)
        storeI32(to + i * AMX_WORDS,
                 row + i < rows ? readPairs(first + (row + i) * a.stride + k, count, a.factor) : I32x{});
    }
  }
}

// `first`: the element of row 0 at depth 0.
template <class T>
void packColumnMajor(const Rows& a, const T* first, Size rows, Size depth, float* out) {
  const Size height = roundUp(rows, AMX_ROWS);
  for (Size k = 0; k < depth; k += STEPS) {
    for (Size g = 0; g < height; g += AMX_ROWS, out += TILE_WORDS) {
      const int exist = static_cast<int>(smaller<Size>(WIDTH, rows - g));
      const auto read = [&](Size step) {
        return step < depth ? loadFirst(first + step * a.stride + g, exist) * a.factor : F32x{};
      };
      I32x square[WIDTH];
#pragma GCC unroll 16
      for (Size i = 0; i < AMX_WORDS; i++) square[i] = zipToBf16(read(k + 2 * i), read(k + 2 * i + 1));
      transpose(square);
#pragma GCC unroll 16
      for (Size i = 0; i < AMX_ROWS; i++) storeI32(out + i * AMX_WORDS, square[i]);
    }
  }
}

template <class T>
void packPanel(const Rows& a, const T* first, Size rows, Size depth, float* out) {
  for (Size k = 0; k < depth; k += STEPS) {
    const Size count = smaller(STEPS, depth - k);
    for (Size g = 0; g < rows; g += WIDTH) {
      float* to = out + k / 2 * PANEL + g * AMX_WORDS;
      I32x square[WIDTH];
#pragma GCC unroll 16
      for (Size i = 0; i < WIDTH; i++)
        square[i] = g + i < rows ? readPairs(first + (g + i) * a.stride + k, count, a.factor) : I32x{};
      transpose(square);
#pragma GCC unroll 16
      for (Size i = 0; i < AMX_WORDS; i++) storeI32(to + i * AMX_WORDS, square[i]);
    }
  }
}

template <class T>
void packAs(const Rows& a, const T* data, Size row0, Size rows, Size k0, Size depth, float* out) {
  if (a.transposed)
    packColumnMajor(a, data + k0 * a.stride + row0, rows, depth, out);
  else
    packRowMajor(a, data + row0 * a.stride + k0, rows, depth, out);
}

}  // namespace

void packTileRows(const Rows& a, Size row0, Size rows, Size k0, Size depth, float* out) {
  if (a.half)
    packAs(a, a.half, row0, rows, k0, depth, out);
  else
    packAs(a, a.f32, row0, rows, k0, depth, out);
}

void packTilePanel(const Rows& a, Size row0, Size rows, Size k0, Size depth, float* out) {
  if (a.half)
    packPanel(a, a.half + row0 * a.stride + k0, rows, depth, out);
  else
    packPanel(a, a.f32 + row0 * a.stride + k0, rows, depth, out);
}
#else
void packTileRows(const Rows&, Size, Size, Size, Size, float*) {}
void packTilePanel(const Rows&, Size, Size, Size, Size, float*) {}
#endif

}  // namespace qdylora::QD_LEVEL
