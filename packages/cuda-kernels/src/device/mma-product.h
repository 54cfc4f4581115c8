// Tiles by tensor cores with float32 sums. Tiles of the operands are copied one tile ahead, by cp.async from
// sm_80 on.
#pragma once
#include "copy-async.h"
#include "tensor-cores.h"
#include "tile-product.h"

template <class Shape, class Operand>
struct MmaTile {
  static constexpr int DEPTH = 32;
  static constexpr int PAD = 8;  // eight rows that are read at once are in different banks
  static constexpr int STAGES = 2;
  float sums[Shape::ROW_RESULTS][Shape::COLUMN_RESULTS][4];

  // A tile by rows of its matrix: [outer, DEPTH] or [DEPTH, outer], rows padded.
  __device__ static constexpr int tileSize(int outer) {
    const int byOuter = outer * (DEPTH + PAD);
    const int byDepth = DEPTH * (outer + PAD);
    return byOuter > byDepth ? byOuter : byDepth;
  }
  template <bool BY_DEPTH>
  __device__ static constexpr int strideOf(int outer) {
    return (BY_DEPTH ? outer : DEPTH) + PAD;
  }
  struct Shared {
    alignas(16) Operand a[STAGES][tileSize(Shape::ROWS)];
    alignas(16) Operand b[STAGES][tileSize(Shape::COLUMNS)];
  };

  __device__ static int warpRow() {
    return static_cast<int>(threadIdx.x) / 32 / Shape::WARP_COLUMNS * Shape::ROW_RESULTS * 16;
  }
  __device__ static int warpColumn() {
    return static_cast<int>(threadIdx.x) / 32 % Shape::WARP_COLUMNS * Shape::COLUMN_RESULTS * 8;
  }

  __device__ void clear() {
#pragma unroll
    for (int i = 0; i < Shape::ROW_RESULTS; i++)
#pragma unroll
      for (int j = 0; j < Shape::COLUMN_RESULTS; j++)
#pragma unroll
        for (int e = 0; e < 4; e++) sums[i][j][e] = 0.f;
  }

  template <bool BY_DEPTH, int OUTER>
  __device__ static void stage(Operand* tile, const Matrix& matrix, int depth, int outer) {
    constexpr int WIDTH = BY_DEPTH ? OUTER : DEPTH;
    constexpr int CHUNKS = WIDTH / CHUNK;
#pragma unroll 1
    for (int chunk = threadIdx.x; chunk < DEPTH * OUTER / CHUNK; chunk += Shape::THREADS) {
      const int row = chunk / CHUNKS;
      const int column = chunk % CHUNKS * CHUNK;
      Operand* target = tile + row * (WIDTH + PAD) + column;
      const int matrixRow = (BY_DEPTH ? depth : outer) + row;
      const int matrixColumn = (BY_DEPTH ? outer : depth) + column;
      const Size at = static_cast<Size>(matrixRow) * matrix.columns + matrixColumn;
      const Operand* source = static_cast<const Operand*>(matrix.data) + at;
      const bool isInside = matrixRow < matrix.rows && matrixColumn + CHUNK <= matrix.columns;
      if (isInside && matrix.kind == kindOf<Operand>() && reinterpret_cast<Size>(source) % 16 == 0) {
        copyChunkAsync(target, source);
      } else {
        float values[CHUNK];
        loadChunk(matrix, matrixRow, matrixColumn, values);
        Chunk<Operand> rounded;
#pragma unroll
        for (int i = 0; i < CHUNK; i++) put(rounded.at[i], values[i]);
        *reinterpret_cast<Chunk<Operand>*>(target) = rounded;
      }
    }
  }

  // A tile is copied while the one before it is multiplied.
  template <bool A_BY_DEPTH, bool B_BY_DEPTH>
  __device__ void add(Shared& shared, const Factors& factors, int row, int column) {
    const int tiles = (factors.depth + DEPTH - 1) / DEPTH;
    for (int step = 0; step <= tiles; step++) {
      if (step < tiles) {
        stage<A_BY_DEPTH, Shape::ROWS>(shared.a[step % STAGES], factors.a, step * DEPTH, row);
        stage<B_BY_DEPTH, Shape::COLUMNS>(shared.b[step % STAGES], factors.b, step * DEPTH, column);
      }
      commitCopies();
      if (step == 0) continue;
      waitForCopies<1>();
      __syncthreads();
      const int slot = (step - 1) % STAGES;
#pragma unroll
      for (int k = 0; k < DEPTH; k += 16) addStep<A_BY_DEPTH, B_BY_DEPTH>(shared.a[slot], shared.b[slot], k);
      __syncthreads();
    }
  }

  template <bool A_BY_DEPTH, bool B_BY_DEPTH>
  __device__ void addStep(const Operand* a, const Operand* b, int k) {
    LeftFactor<A_BY_DEPTH> left[Shape::ROW_RESULTS];
#pragma unroll
    for (int i = 0; i < Shape::ROW_RESULTS; i++)
      left[i] = loadLeft<A_BY_DEPTH>(a, strideOf<A_BY_DEPTH>(Shape::ROWS), warpRow() + 16 * i, k);
#pragma unroll
    for (int j = 0; j < Shape::COLUMN_RESULTS; j += 2) {
      const RightFactor<B_BY_DEPTH> right =
          loadRight<B_BY_DEPTH>(b, strideOf<B_BY_DEPTH>(Shape::COLUMNS), warpColumn() + 8 * j, k);
#pragma unroll
      for (int i = 0; i < Shape::ROW_RESULTS; i++)
        multiplyAdd<Operand>(sums[i][j], sums[i][j + 1], left[i], right);
    }
  }

  // Calls use(row, column, left, right) for each pair of neighbours of this thread, counted within the tile.
  template <class Use>
  __device__ void forEachPair(const Use& use) const {
#pragma unroll
    for (int i = 0; i < Shape::ROW_RESULTS; i++)
#pragma unroll
      for (int e = 0; e < 4; e += 2)
#pragma unroll
        for (int j = 0; j < Shape::COLUMN_RESULTS; j++)
          use(warpRow() + 16 * i + resultRow(e), warpColumn() + 8 * j + resultColumn(e), sums[i][j][e],
              sums[i][j][e + 1]);
  }
};
