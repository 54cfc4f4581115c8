// Products of a warp by tensor cores, the same names on every architecture, and which operands have them.
// c += a·b of 16 × 16 results and 16 steps of depth: a warp's results are two arrays of four floats in each
// lane, columns 0 … 7 and 8 … 15. Elements 0 and 1 are neighbours in a row, 2 and 3 in another one.
//   LeftFactor<BY_DEPTH>, RightFactor<BY_DEPTH>   a and b in registers
//   loadLeft<BY_DEPTH>(tile, stride, row, depth)  of a tile in shared memory, whose rows are multiples of 16
//   loadRight<BY_DEPTH>(…, column, …)             bytes. BY_DEPTH: the tile's rows are steps of depth
//   multiplyAdd<Operand>(c0, c1, a, b)
//   resultRow(element), resultColumn(element)     of this lane, within columns 0 … 7
//   NEAR_LANE, FAR_LANE                           bits of the lane: the four that share a row differ in them
//   leftOf<Operand>(c0, c1)                       results, rounded, as the left factor of a next product
#pragma once
#include "element.h"
#if __CUDA_ARCH__ >= 750
#include "whole-warp-product.h"
#else
#include "quad-pair-product.h"
#endif

template <class Operand>
constexpr bool HAS_TENSOR_CORES = false;
template <>
constexpr bool HAS_TENSOR_CORES<Float16> = true;
template <>
constexpr bool HAS_TENSOR_CORES<BFloat16> = __CUDA_ARCH__ >= 800;

template <bool CONDITION, class Yes, class No>
struct Choice {
  using Type = Yes;
};
template <class Yes, class No>
struct Choice<false, Yes, No> {
  using Type = No;
};
// `Tensor` where tensor cores multiply this operand, else `Other`.
template <class Operand, class Tensor, class Other>
using ByTensorCores = typename Choice<HAS_TENSOR_CORES<Operand>, Tensor, Other>::Type;
