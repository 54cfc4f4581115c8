// Attention by tensor cores (tensor-cores.h): a block of four warps owns 64 rows, a warp 16 of them, as
// the left factor of every product. Its partners are the right factor, a small tile at a time.
#pragma once
#include "attention.h"
#include "copy-async.h"
#include "tensor-cores.h"
#include "tile-product.h"

template <int MOST_DIM_, int PARTNER_ROWS_, class Operand_>
struct TensorShape {
  using Operand = Operand_;
  static constexpr int MOST_DIM = MOST_DIM_;
  static constexpr int OWN_ROWS = TENSOR_OWN_ROWS;
  static constexpr int PARTNER_ROWS = PARTNER_ROWS_;
  static constexpr int STRIDE = MOST_DIM_ + 8;  // eight rows that are read at once are in different banks
  static constexpr int SCORE_TILES = PARTNER_ROWS_ / 8;
  static constexpr int DIM_TILES = MOST_DIM_ / 8;
};
template <class Operand>
using Tensor64 = TensorShape<64, 32, Operand>;
template <class Operand>
using Tensor128 = TensorShape<128, 16, Operand>;

// The results of a warp's products: of 16 rows and eight columns each.
template <class Shape>
struct Scores {
  float at[Shape::SCORE_TILES][4];
};
template <class Shape>
struct Rows {
  float at[Shape::DIM_TILES][4];
};

__device__ inline int tensorRow(int element) { return threadIdx.x / 32 * 16 + resultRow(element); }
__device__ inline int tensorColumn(int tile, int element) { return 8 * tile + resultColumn(element); }

// Copies rows of one head, rounded to operands; rows from `end` on and elements past the head are 0. The
// thread waits for its copies later.
template <class Shape, int ROWS>
__device__ inline void loadTile(typename Shape::Operand (&tile)[ROWS][Shape::STRIDE],
                                const AttentionCall& call, const void* array, int heads, int head, int begin,
                                int end) {
  using Operand = typename Shape::Operand;
  constexpr int CHUNKS = Shape::MOST_DIM / CHUNK;
#pragma unroll 1
  for (int chunk = threadIdx.x; chunk < ROWS * CHUNKS; chunk += ATTENTION_THREADS) {
    const int row = chunk / CHUNKS;
    const int d = chunk % CHUNKS * CHUNK;
    const Size at = (static_cast<Size>(begin + row) * heads + head) * call.dim + d;
    const int count = begin + row < end ? call.dim - d : 0;
    const Operand* source = static_cast<const Operand*>(array) + at;
    if (call.kind == kindOf<Operand>() && count >= CHUNK && reinterpret_cast<Size>(source) % 16 == 0) {
      copyChunkAsync(&tile[row][d], source);
    } else {
      Chunk<Operand> rounded;
#pragma unroll
      for (int i = 0; i < CHUNK; i++)
        put(rounded.at[i], i < count ? elementOf(array, call.kind, at + i) : 0.f);
      *reinterpret_cast<Chunk<Operand>*>(&tile[row][d]) = rounded;
    }
  }
}

// own · partnersᵀ
template <class Shape>
__device__ inline Scores<Shape> multiplyRows(
    const typename Shape::Operand (&own)[Shape::OWN_ROWS][Shape::STRIDE],
    const typename Shape::Operand (&partners)[Shape::PARTNER_ROWS][Shape::STRIDE]) {
  Scores<Shape> scores = {};
#pragma unroll
  for (int d = 0; d < Shape::MOST_DIM; d += 16) {
    const LeftFactor<false> left = loadLeft<false>(own[0], Shape::STRIDE, threadIdx.x / 32 * 16, d);
#pragma unroll
    for (int j = 0; j < Shape::SCORE_TILES; j += 2) {
      const RightFactor<false> right = loadRight<false>(partners[0], Shape::STRIDE, 8 * j, d);
      multiplyAdd<typename Shape::Operand>(scores.at[j], scores.at[j + 1], left, right);
    }
  }
  return scores;
}

// sums += weights · partners, weights rounded to operands
template <class Shape>
__device__ inline void addWeighted(
    Rows<Shape>& sums, const Scores<Shape>& weights,
    const typename Shape::Operand (&partners)[Shape::PARTNER_ROWS][Shape::STRIDE]) {
  using Operand = typename Shape::Operand;
#pragma unroll
  for (int j = 0; j < Shape::SCORE_TILES; j += 2) {
    const LeftFactor<false> left = leftOf<Operand>(weights.at[j], weights.at[j + 1]);
#pragma unroll
    for (int n = 0; n < Shape::DIM_TILES; n += 2) {
      const RightFactor<true> right = loadRight<true>(partners[0], Shape::STRIDE, 8 * n, 8 * j);
      multiplyAdd<Operand>(sums.at[n], sums.at[n + 1], left, right);
    }
  }
}

// The largest or the sum of a row, in each of its four lanes.
__device__ inline float maxOfRow(float value) {
  value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, NEAR_LANE));
  return fmaxf(value, __shfl_xor_sync(0xffffffffu, value, FAR_LANE));
}
__device__ inline float sumOfRow(float value) {
  value += __shfl_xor_sync(0xffffffffu, value, NEAR_LANE);
  return value + __shfl_xor_sync(0xffffffffu, value, FAR_LANE);
}
__device__ inline bool isFirstOfRow() { return (threadIdx.x & (NEAR_LANE | FAR_LANE)) == 0; }
