// Tiles by fused multiply-adds in float32, on every architecture: one sum per element of c, from the first
// term to the last.
#pragma once
#include "tile-product.h"

// A thread owns THREAD_ROWS × THREAD_COLUMNS neighbours; 16 threads share the rows of a tile.
// Both factors are rounded to `Operand`.
template <class Shape, class Operand>
struct FmaTile {
  static constexpr int DEPTH = 16;
  static constexpr int PAD = 4;  // keeps rows at 16 bytes and turns the banks of neighbouring rows
  static constexpr int THREADS_OF_ROW = 16;
  static constexpr int THREAD_ROWS = Shape::ROWS / (Shape::THREADS / THREADS_OF_ROW);
  static constexpr int THREAD_COLUMNS = Shape::COLUMNS / THREADS_OF_ROW;
  float sums[THREAD_ROWS][THREAD_COLUMNS];

  struct Shared {
    alignas(16) float a[DEPTH][Shape::ROWS + PAD];
    alignas(16) float b[DEPTH][Shape::COLUMNS + PAD];
  };

  __device__ static int threadRow() { return threadIdx.x / THREADS_OF_ROW * THREAD_ROWS; }
  __device__ static int threadColumn() { return threadIdx.x % THREADS_OF_ROW * THREAD_COLUMNS; }

  __device__ void clear() {
#pragma unroll
    for (int i = 0; i < THREAD_ROWS; i++)
#pragma unroll
      for (int j = 0; j < THREAD_COLUMNS; j++) sums[i][j] = 0.f;
  }

  // Copies DEPTH × WIDTH elements: `depth` and `outer` are where they begin.
  template <bool BY_DEPTH, int WIDTH>
  __device__ static void stage(float (&tile)[DEPTH][WIDTH + PAD], const Matrix& matrix, int depth,
                               int outer) {
    constexpr int CHUNKS = (BY_DEPTH ? WIDTH : DEPTH) / CHUNK;  // of a row of the matrix
#pragma unroll 1
    for (int chunk = threadIdx.x; chunk < DEPTH * WIDTH / CHUNK; chunk += Shape::THREADS) {
      const int row = chunk / CHUNKS;
      const int column = chunk % CHUNKS * CHUNK;
      float values[CHUNK];
      loadChunk(matrix, (BY_DEPTH ? depth : outer) + row, (BY_DEPTH ? outer : depth) + column, values);
#pragma unroll
      for (int i = 0; i < CHUNK; i++) {
        const float value = toFloat(roundTo<Operand>(values[i]));
        if (BY_DEPTH)
          tile[row][column + i] = value;
        else
          tile[column + i][row] = value;
      }
    }
  }

  template <bool A_BY_DEPTH, bool B_BY_DEPTH>
  __device__ void add(Shared& shared, const Factors& factors, int row, int column) {
    for (int depth = 0; depth < factors.depth; depth += DEPTH) {
      __syncthreads();
      stage<A_BY_DEPTH, Shape::ROWS>(shared.a, factors.a, depth, row);
      stage<B_BY_DEPTH, Shape::COLUMNS>(shared.b, factors.b, depth, column);
      __syncthreads();
#pragma unroll 4
      for (int k = 0; k < DEPTH; k++) addStep(shared, k);
    }
  }

  __device__ void addStep(const Shared& shared, int k) {
    float a[THREAD_ROWS], b[THREAD_COLUMNS];
#pragma unroll
    for (int i = 0; i < THREAD_ROWS; i++) a[i] = shared.a[k][threadRow() + i];
#pragma unroll
    for (int j = 0; j < THREAD_COLUMNS; j++) b[j] = shared.b[k][threadColumn() + j];
#pragma unroll
    for (int i = 0; i < THREAD_ROWS; i++)
#pragma unroll
      for (int j = 0; j < THREAD_COLUMNS; j++) sums[i][j] = fmaf(a[i], b[j], sums[i][j]);
  }

  // Calls use(row, column, left, right) for each pair of neighbours of this thread, counted within the tile.
  template <class Use>
  __device__ void forEachPair(const Use& use) const {
#pragma unroll
    for (int i = 0; i < THREAD_ROWS; i++)
#pragma unroll
      for (int j = 0; j < THREAD_COLUMNS; j += 2)
        use(threadRow() + i, threadColumn() + j, sums[i][j], sums[i][j + 1]);
  }
};
