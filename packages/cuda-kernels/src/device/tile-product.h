// Products of matrices by tiles, for the kernels that need them: c = a·b with sums in float32.
// An operand is a row-major matrix of float32 or bfloat16; a tile of it is copied to shared memory, rounded
// or widened to what the product takes. Elements past its edges count as 0.
#pragma once
#include "bfloat16.h"

// A matrix in memory: [rows, columns], contiguous.
struct Matrix {
  const void* data;
  bool isHalf;  // bfloat16
  int rows;
  int columns;
};

constexpr int CHUNK = 8;  // elements of one copy to shared memory: 16 bytes of bfloat16

struct alignas(16) Chunk {
  BFloat16 at[CHUNK];
};

__device__ inline float roundedToBfloat16(float value) { return toFloat(roundToBfloat16(value)); }

// The elements (row, column … column + 7), 0 past the edges.
__device__ inline void loadChunk(const Matrix& matrix, int row, int column, float (&values)[CHUNK]) {
  const int left = row < matrix.rows ? matrix.columns - column : 0;
  const Size at = static_cast<Size>(row) * matrix.columns + column;
  if (matrix.isHalf) {
    const BFloat16* source = static_cast<const BFloat16*>(matrix.data) + at;
    if (left >= CHUNK && reinterpret_cast<Size>(source) % sizeof(Chunk) == 0) {
      const Chunk chunk = *reinterpret_cast<const Chunk*>(source);
#pragma unroll
      for (int i = 0; i < CHUNK; i++) values[i] = toFloat(chunk.at[i]);
    } else {
#pragma unroll
      for (int i = 0; i < CHUNK; i++) values[i] = i < left ? toFloat(source[i]) : 0.f;
    }
  } else {
    const float* source = static_cast<const float*>(matrix.data) + at;
    if (left >= CHUNK && reinterpret_cast<Size>(source) % sizeof(float4) == 0) {
      const float4 low = *reinterpret_cast<const float4*>(source);
      const float4 high = *reinterpret_cast<const float4*>(source + 4);
      values[0] = low.x, values[1] = low.y, values[2] = low.z, values[3] = low.w;
      values[4] = high.x, values[5] = high.y, values[6] = high.z, values[7] = high.w;
    } else {
#pragma unroll
      for (int i = 0; i < CHUNK; i++) values[i] = i < left ? source[i] : 0.f;
    }
  }
}

// The shape of a block's tile of c. Warps × their 16×8 results give its rows and columns.
template <int WARP_ROWS_, int WARP_COLUMNS_, int ROW_RESULTS_, int COLUMN_RESULTS_>
struct TileShape {
  static constexpr int WARP_COLUMNS = WARP_COLUMNS_;
  static constexpr int ROW_RESULTS = ROW_RESULTS_;        // of a warp, 16 rows each
  static constexpr int COLUMN_RESULTS = COLUMN_RESULTS_;  // of a warp, 8 columns each
  static constexpr int THREADS = 32 * WARP_ROWS_ * WARP_COLUMNS_;
  static constexpr int ROWS = 16 * ROW_RESULTS_ * WARP_ROWS_;
  static constexpr int COLUMNS = 8 * COLUMN_RESULTS_ * WARP_COLUMNS_;
};
using SmallTile = TileShape<2, 2, 2, 4>;  // 64 × 64, 128 threads
using LargeTile = TileShape<2, 4, 4, 4>;  // 128 × 128, 256 threads

// One product c += a·b of a tile. `A_BY_DEPTH`: a is [depth, rows], else [rows, depth]; `B_BY_DEPTH`: b is
// [depth, columns], else [columns, depth].
struct Factors {
  Matrix a;
  Matrix b;
  int depth;
};
