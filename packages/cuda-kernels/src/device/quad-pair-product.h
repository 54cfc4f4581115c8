// A warp's product on sm_70 (tensor-cores.h), of float16 alone: mma.sync of 8×8×4. One instruction multiplies
// four pairs of matrices, each in eight lanes: quad pair p is lanes 4p … 4p + 3, its lower quad, and lanes
// 16 + 4p … 19 + 4p, its upper one. The four have a square of 16 × 16 results:
//   quad       rows                          columns
//   lower      4 · (p % 2) + 0 … 3           4 · (p / 2) + 0 … 3
//   upper      8 + the same                  8 + the same
// So the rows of a tile that are read at once follow each other: they are in different banks.
#pragma once
#include "pack-operands.h"

constexpr int QUAD = 4;  // lanes that follow each other, and the depth of an instruction

__device__ inline int laneOfWarp() { return threadIdx.x % 32; }
__device__ inline int upperEight() { return laneOfWarp() / 16 * 8; }
// The first of the four rows, or columns, that the lanes of a quad share.
__device__ inline int quadRow() { return upperEight() + laneOfWarp() / QUAD % 2 * 4; }
__device__ inline int quadColumn() { return upperEight() + laneOfWarp() / (2 * QUAD) % 2 * 4; }

// Two words for each of four instructions: a lane's row (or column) and four steps of depth, or BY_DEPTH one
// step and the four rows of its quad.
template <bool BY_DEPTH>
struct Factor {
  unsigned words[8];
};
template <bool BY_DEPTH>
using LeftFactor = Factor<BY_DEPTH>;
template <bool BY_DEPTH>
using RightFactor = Factor<BY_DEPTH>;

template <bool BY_DEPTH>
__device__ inline Factor<BY_DEPTH> loadFactor(const Float16* tile, int stride, int outer, int depth) {
  const int lane = laneOfWarp() % QUAD;
  Factor<BY_DEPTH> factor;
  if (BY_DEPTH) {
#pragma unroll
    for (int k = 0; k < 4; k++) {
      const Float16* source = tile + (depth + QUAD * k + lane) * stride + outer;
      const uint2 words = *reinterpret_cast<const uint2*>(source);
      factor.words[2 * k] = words.x;
      factor.words[2 * k + 1] = words.y;
    }
  } else {
#pragma unroll
    for (int k = 0; k < 4; k += 2) {
      const Float16* source = tile + (outer + lane) * stride + depth + QUAD * k;
      const uint4 words = *reinterpret_cast<const uint4*>(source);
      factor.words[2 * k] = words.x;
      factor.words[2 * k + 1] = words.y;
      factor.words[2 * k + 2] = words.z;
      factor.words[2 * k + 3] = words.w;
    }
  }
  return factor;
}
template <bool BY_DEPTH>
__device__ inline LeftFactor<BY_DEPTH> loadLeft(const Float16* tile, int stride, int row, int depth) {
  return loadFactor<BY_DEPTH>(tile, stride, row + quadRow(), depth);
}
template <bool BY_DEPTH>
__device__ inline RightFactor<BY_DEPTH> loadRight(const Float16* tile, int stride, int column, int depth) {
  return loadFactor<BY_DEPTH>(tile, stride, column + quadColumn(), depth);
}

// Four steps of depth. A factor by depth is .col on the left and .row on the right.
#define QD_QUAD_PRODUCTS(LAYOUTS)                                                                           \
  asm volatile("mma.sync.aligned.m8n8k4." LAYOUTS                                                           \
               ".f32.f16.f16.f32 {%0,%1,%2,%3,%4,%5,%6,%7}, {%8,%9}, {%10,%11}, "                           \
               "{%0,%1,%2,%3,%4,%5,%6,%7};"                                                                 \
               : "+f"(c0[0]), "+f"(c0[1]), "+f"(c0[2]), "+f"(c0[3]), "+f"(c1[0]), "+f"(c1[1]), "+f"(c1[2]), \
                 "+f"(c1[3])                                                                                \
               : "r"(a0), "r"(a1), "r"(b0), "r"(b1))
template <bool A_BY_DEPTH, bool B_BY_DEPTH>
__device__ inline void multiplyAddQuads(float (&c0)[4], float (&c1)[4], unsigned a0, unsigned a1, unsigned b0,
                                        unsigned b1) {
  if (A_BY_DEPTH && B_BY_DEPTH)
    QD_QUAD_PRODUCTS("col.row");
  else if (A_BY_DEPTH)
    QD_QUAD_PRODUCTS("col.col");
  else if (B_BY_DEPTH)
    QD_QUAD_PRODUCTS("row.row");
  else
    QD_QUAD_PRODUCTS("row.col");
}

template <class Operand, bool A_BY_DEPTH, bool B_BY_DEPTH>
__device__ inline void multiplyAdd(float (&c0)[4], float (&c1)[4], const LeftFactor<A_BY_DEPTH>& a,
                                   const RightFactor<B_BY_DEPTH>& b) {
#pragma unroll
  for (int k = 0; k < 8; k += 2)
    multiplyAddQuads<A_BY_DEPTH, B_BY_DEPTH>(c0, c1, a.words[k], a.words[k + 1], b.words[k], b.words[k + 1]);
}

__device__ inline int resultRow(int element) { return quadRow() + laneOfWarp() % 2 + element / 2 * 2; }
__device__ inline int resultColumn(int element) {
  return quadColumn() - upperEight() + laneOfWarp() % QUAD / 2 * 2 + element % 2;
}
constexpr int NEAR_LANE = 2;
constexpr int FAR_LANE = 8;

// Of every four columns a lane has two, in two rows; the factor needs all four, in one row. The lane at
// NEAR_LANE gives the other two. The lane at FAR_LANE, of the quad pair with the same rows, gives the four
// columns that follow or go before.
template <class Operand>
__device__ inline LeftFactor<false> leftOf(const float (&c0)[4], const float (&c1)[4]) {
  const bool isHigh = laneOfWarp() & NEAR_LANE;
  const bool isSecond = laneOfWarp() & FAR_LANE;
  LeftFactor<false> factor;
#pragma unroll
  for (int j = 0; j < 2; j++) {
    const float (&c)[4] = j == 0 ? c0 : c1;
    const unsigned first = packOperands<Operand>(c[0], c[1]);
    const unsigned second = packOperands<Operand>(c[2], c[3]);
    const unsigned own = isHigh ? second : first;
    const unsigned other = __shfl_xor_sync(0xffffffffu, isHigh ? first : second, NEAR_LANE);
    const unsigned words[2] = {isHigh ? other : own, isHigh ? own : other};
#pragma unroll
    for (int k = 0; k < 2; k++) {
      const unsigned partner = __shfl_xor_sync(0xffffffffu, words[k], FAR_LANE);
      factor.words[4 * j + k] = isSecond ? partner : words[k];
      factor.words[4 * j + 2 + k] = isSecond ? words[k] : partner;
    }
  }
  return factor;
}
