// Which products tensor cores compute, and the tiles of each: by tensor cores or by fused multiply-adds.
#pragma once
#include "fma-product.h"
#if __CUDA_ARCH__ >= 750
#include "mma-product.h"
#endif

template <class Shape, class Operand>
struct ChosenTile {
  using Tile = FmaTile<Shape, Operand>;
};
#if __CUDA_ARCH__ >= 750
template <class Shape>
struct ChosenTile<Shape, Float16> {
  using Tile = MmaTile<Shape, Float16>;
};
#endif
#if __CUDA_ARCH__ >= 800
template <class Shape>
struct ChosenTile<Shape, BFloat16> {
  using Tile = MmaTile<Shape, BFloat16>;
};
#endif

template <class Shape, class Operand>
using TileOf = typename ChosenTile<Shape, Operand>::Tile;
