// The tiles of a product: by tensor cores or by fused multiply-adds.
#pragma once
#include "fma-product.h"
#include "mma-product.h"

template <class Shape, class Operand>
using TileOf = ByTensorCores<Operand, MmaTile<Shape, Operand>, FmaTile<Shape, Operand>>;
