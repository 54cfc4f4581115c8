// Products of matrices by tiles, for the kernels that need them: c = a·b with sums in float32.
// An operand is a row-major matrix of any type of elements; a tile of it is copied to shared memory, rounded
// or widened to what the product takes. Elements past its edges count as 0.
#pragma once
#include "element.h"

// A matrix in memory: [rows, columns], contiguous.
struct Matrix {
  const void* data;
  int kind;
  int rows;
  int columns;
};

constexpr int CHUNK = 8;  // elements of one copy to shared memory: 16 bytes of two-byte elements

template <class T>
struct alignas(16) Chunk {
  T at[CHUNK];
};

// The elements from `at` on as they are in memory, `left` of which are there; 0 past them.
template <class T>
__device__ inline Chunk<T> loadElements(const void* data, Size at, int left) {
  const T* source = static_cast<const T*>(data) + at;
  if (left >= CHUNK && reinterpret_cast<Size>(source) % 16 == 0)
    return *reinterpret_cast<const Chunk<T>*>(source);
  Chunk<T> chunk;
#pragma unroll
  for (int i = 0; i < CHUNK; i++) chunk.at[i] = i < left ? source[i] : T(0);
  return chunk;
}

// The elements (row, column … column + 7), 0 past the edges.
__device__ inline void loadChunk(const Matrix& matrix, int row, int column, float (&values)[CHUNK]) {
  const int left = row < matrix.rows ? matrix.columns - column : 0;
  const Size at = static_cast<Size>(row) * matrix.columns + column;
  if (matrix.kind == FLOAT32) {
    const Chunk<float> chunk = loadElements<float>(matrix.data, at, left);
#pragma unroll
    for (int i = 0; i < CHUNK; i++) values[i] = chunk.at[i];
  } else {
    const Chunk<unsigned short> chunk = loadElements<unsigned short>(matrix.data, at, left);
#pragma unroll
    for (int i = 0; i < CHUNK; i++) values[i] = widened(matrix.kind, chunk.at[i]);
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
