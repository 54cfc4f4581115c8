// Tiles by tensor cores with float32 sums: mma.sync of 16×8×16 factors from sm_80 on, of bfloat16 or float16;
// of 16×8×8 float16 on sm_75. Tiles of the operands are copied one tile ahead, by cp.async from sm_80 on.
#pragma once
#include "tile-product.h"

__device__ inline unsigned sharedAddress(const void* pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}
#if __CUDA_ARCH__ >= 800
__device__ inline void copyChunkAsync(void* shared, const void* global) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(sharedAddress(shared)), "l"(global));
}
__device__ inline void commitCopies() { asm volatile("cp.async.commit_group;"); }
template <int LEFT>
__device__ inline void waitForCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}
#else
// The thread waits for its load, and has nothing to wait for later.
__device__ inline void copyChunkAsync(void* shared, const void* global) {
  *static_cast<uint4*>(shared) = *static_cast<const uint4*>(global);
}
__device__ inline void commitCopies() {}
template <int LEFT>
__device__ inline void waitForCopies() {}
#endif

template <bool IS_TRANSPOSED>
__device__ inline void loadMatrix4(unsigned (&words)[4], const void* shared) {
  if (IS_TRANSPOSED)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
                 : "r"(sharedAddress(shared)));
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
                 : "r"(sharedAddress(shared)));
}

// c += a·b: a [16, 16], b [16, 8], c [16, 8]
template <class Operand>
__device__ inline void multiplyAdd(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1);

#if __CUDA_ARCH__ >= 800
#define QD_MULTIPLY_ADD(OPERAND, TYPE)                                                            \
  template <>                                                                                     \
  __device__ inline void multiplyAdd<OPERAND>(float (&c)[4], const unsigned (&a)[4], unsigned b0, \
                                              unsigned b1) {                                      \
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." TYPE "." TYPE                           \
                 ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                     \
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                                 \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));                 \
  }
QD_MULTIPLY_ADD(BFloat16, "bf16")
QD_MULTIPLY_ADD(Float16, "f16")
#else
// The first and the second half of the depth: their fragments are those of the whole.
__device__ inline void multiplyAddHalf(float (&c)[4], unsigned a0, unsigned a1, unsigned b) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a0), "r"(a1), "r"(b));
}
template <>
__device__ inline void multiplyAdd<Float16>(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  multiplyAddHalf(c, a[0], a[1], b0);
  multiplyAddHalf(c, a[2], a[3], b1);
}
#endif

// A matrix [16, 16] of a tile in shared memory, as four of [8, 8]: `outer` and `depth` are where it begins.
// Of a left factor the second one is further along its rows, of a right one along its depth. `BY_DEPTH`: the
// rows of the tile are steps of depth.
template <bool BY_DEPTH, bool IS_LEFT, class Operand>
__device__ inline void loadFactor(unsigned (&words)[4], const Operand* tile, int stride, int outer,
                                  int depth) {
  const int lane = threadIdx.x % 32;
  const int matrix = lane / 8;
  const int outerAt = outer + (IS_LEFT ? matrix % 2 : matrix / 2) * 8;
  const int depthAt = depth + (IS_LEFT ? matrix / 2 : matrix % 2) * 8;
  const int row = (BY_DEPTH ? depthAt : outerAt) + lane % 8;
  const int column = BY_DEPTH ? outerAt : depthAt;
  loadMatrix4<BY_DEPTH>(words, tile + row * stride + column);
}

template <class Shape, class Operand>
struct MmaTile {
  static constexpr int DEPTH = 32;
  static constexpr int PAD = 8;  // eight rows of a small matrix are in different banks
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
    unsigned left[Shape::ROW_RESULTS][4];
#pragma unroll
    for (int i = 0; i < Shape::ROW_RESULTS; i++)
      loadFactor<A_BY_DEPTH, true>(left[i], a, strideOf<A_BY_DEPTH>(Shape::ROWS), warpRow() + 16 * i, k);
#pragma unroll
    for (int j = 0; j < Shape::COLUMN_RESULTS; j += 2) {
      unsigned right[4];
      loadFactor<B_BY_DEPTH, false>(right, b, strideOf<B_BY_DEPTH>(Shape::COLUMNS), warpColumn() + 8 * j, k);
#pragma unroll
      for (int i = 0; i < Shape::ROW_RESULTS; i++) {
        multiplyAdd<Operand>(sums[i][j], left[i], right[0], right[1]);
        multiplyAdd<Operand>(sums[i][j + 1], left[i], right[2], right[3]);
      }
    }
  }

  // Calls use(row, column, left, right) for each pair of neighbours of this thread, counted within the tile.
  template <class Use>
  __device__ void forEachPair(const Use& use) const {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < Shape::ROW_RESULTS; i++)
#pragma unroll
      for (int e = 0; e < 4; e += 2)
#pragma unroll
        for (int j = 0; j < Shape::COLUMN_RESULTS; j++)
          use(warpRow() + 16 * i + lane / 4 + e / 2 * 8, warpColumn() + 8 * j + lane % 4 * 2, sums[i][j][e],
              sums[i][j][e + 1]);
  }
};
