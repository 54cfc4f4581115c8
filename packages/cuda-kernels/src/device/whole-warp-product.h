// A warp's product on sm_75 and newer (tensor-cores.h): factors by ldmatrix; mma.sync of 16×8×16 from sm_80
// on, of 16×8×8 and float16 on sm_75.
#pragma once
#include "copy-async.h"
#include "pack-operands.h"

__device__ inline int laneOfWarp() { return threadIdx.x % 32; }

// Four matrices of [8, 8]. Of a left factor the second one is further along its rows, of a right one along
// its depth.
struct Factor {
  unsigned words[4];
};
template <bool BY_DEPTH>
using LeftFactor = Factor;
template <bool BY_DEPTH>
using RightFactor = Factor;

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

template <bool BY_DEPTH, bool IS_LEFT, class Operand>
__device__ inline Factor loadFactor(const Operand* tile, int stride, int outer, int depth) {
  const int lane = laneOfWarp();
  const int matrix = lane / 8;
  const int outerAt = outer + (IS_LEFT ? matrix % 2 : matrix / 2) * 8;
  const int depthAt = depth + (IS_LEFT ? matrix / 2 : matrix % 2) * 8;
  const int row = (BY_DEPTH ? depthAt : outerAt) + lane % 8;
  const int column = BY_DEPTH ? outerAt : depthAt;
  Factor factor;
  loadMatrix4<BY_DEPTH>(factor.words, tile + row * stride + column);
  return factor;
}
template <bool BY_DEPTH, class Operand>
__device__ inline Factor loadLeft(const Operand* tile, int stride, int row, int depth) {
  return loadFactor<BY_DEPTH, true>(tile, stride, row, depth);
}
template <bool BY_DEPTH, class Operand>
__device__ inline Factor loadRight(const Operand* tile, int stride, int column, int depth) {
  return loadFactor<BY_DEPTH, false>(tile, stride, column, depth);
}

// c += a·b: a [16, 16], b [16, 8], c [16, 8]
template <class Operand>
__device__ inline void multiplyAddHalf(float (&c)[4], const Factor& a, unsigned b0, unsigned b1);

#if __CUDA_ARCH__ >= 800
#define QD_MULTIPLY_ADD_HALF(OPERAND, TYPE)                                                               \
  template <>                                                                                             \
  __device__ inline void multiplyAddHalf<OPERAND>(float (&c)[4], const Factor& a, unsigned b0,            \
                                                  unsigned b1) {                                          \
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." TYPE "." TYPE                                   \
                 ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                             \
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                                         \
                 : "r"(a.words[0]), "r"(a.words[1]), "r"(a.words[2]), "r"(a.words[3]), "r"(b0), "r"(b1)); \
  }
QD_MULTIPLY_ADD_HALF(BFloat16, "bf16")
QD_MULTIPLY_ADD_HALF(Float16, "f16")
#else
// Eight steps of depth.
__device__ inline void multiplyAddQuarter(float (&c)[4], unsigned a0, unsigned a1, unsigned b) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a0), "r"(a1), "r"(b));
}
template <>
__device__ inline void multiplyAddHalf<Float16>(float (&c)[4], const Factor& a, unsigned b0, unsigned b1) {
  multiplyAddQuarter(c, a.words[0], a.words[1], b0);
  multiplyAddQuarter(c, a.words[2], a.words[3], b1);
}
#endif

template <class Operand>
__device__ inline void multiplyAdd(float (&c0)[4], float (&c1)[4], const Factor& a, const Factor& b) {
  multiplyAddHalf<Operand>(c0, a, b.words[0], b.words[1]);
  multiplyAddHalf<Operand>(c1, a, b.words[2], b.words[3]);
}

__device__ inline int resultRow(int element) { return laneOfWarp() / 4 + element / 2 * 8; }
__device__ inline int resultColumn(int element) { return laneOfWarp() % 4 * 2 + element % 2; }
constexpr int NEAR_LANE = 1;
constexpr int FAR_LANE = 2;

// Results are where the left factor has them.
template <class Operand>
__device__ inline Factor leftOf(const float (&c0)[4], const float (&c1)[4]) {
  return {{packOperands<Operand>(c0[0], c0[1]), packOperands<Operand>(c0[2], c0[3]),
           packOperands<Operand>(c1[0], c1[1]), packOperands<Operand>(c1[2], c1[3])}};
}
