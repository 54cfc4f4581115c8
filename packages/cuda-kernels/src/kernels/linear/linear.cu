// Computes: c = before + a·b + a₂·b₂ + bias, with float32 sums: the products of linear and its gradients, and
//   of every op that is made of them. NT: b and a₂·b₂ as a·bᵀ + a₂·b₂; NN: a·b + a₂·b₂; TN: aᵀ·b.
// Owners: a block owns a tile of c, 64 × 64 or 128 × 128; the sum of an element is in one thread, over all of
//   a·b and then all of a₂·b₂, in an order that depends on the depths alone.
// Cost: 2 · rows · columns · depth operations; each operand is read once per tile of the other. Bf16 kernels
//   use tensor cores from sm_80 on: at 128 × 128, 64 operations a byte, bound by the tensor cores.
// Assumes: contiguous matrices of sizes below 2³¹ (linear.ts). c may be the array of `before`. Any alignment:
//   chunks that do not begin at 16 bytes are read element by element.
// Dropped: tensor cores of sm_70 and sm_75, which have no bfloat16: the same sums by fused multiply-adds of
//   rounded operands. Split sums for few tiles; wgmma. Not measured on a device.
#include "fma-product.h"
#if __CUDA_ARCH__ >= 800
#include "mma-product.h"
#endif

namespace {

// Where the tile goes: c = before + sum + bias.
struct Target {
  const void* before;
  int beforeKind;  // 0: none, 1: float32, 2: bfloat16
  const float* bias;
  bool hasBias;
  void* c;
  bool isHalf;
  int rows;
  int columns;
};

__device__ void storeElement(const Target& target, Size at, int column, float sum) {
  if (column >= target.columns) return;
  if (target.hasBias) sum += target.bias[column];
  if (target.beforeKind == 1) sum += static_cast<const float*>(target.before)[at];
  if (target.beforeKind == 2) sum += toFloat(static_cast<const BFloat16*>(target.before)[at]);
  if (target.isHalf)
    put(static_cast<BFloat16*>(target.c)[at], sum);
  else
    put(static_cast<float*>(target.c)[at], sum);
}

template <class Tile>
__device__ void storeTile(const Tile& tile, const Target& target, int firstRow, int firstColumn) {
  tile.forEachPair([&](int row, int column, float left, float right) {
    row += firstRow;
    column += firstColumn;
    if (row >= target.rows) return;
    const Size at = static_cast<Size>(row) * target.columns + column;
    storeElement(target, at, column, left);
    storeElement(target, at + 1, column + 1, right);
  });
}

template <class Shape, class Tile, bool A_BY_DEPTH, bool B_BY_DEPTH>
__device__ void product(const Factors& first, const Factors& second, const Target& target, bool isRounded) {
  __shared__ typename Tile::Shared shared;
  const int tilesOfColumn = (target.rows + Shape::ROWS - 1) / Shape::ROWS;
  const int row = blockIdx.x % tilesOfColumn * Shape::ROWS;
  const int column = blockIdx.x / tilesOfColumn * Shape::COLUMNS;
  Tile tile;
  tile.clear();
  if (B_BY_DEPTH) {
    Factors factors = first;
#pragma unroll 1
    for (int i = 0; i < 2; i++) {
      tile.template add<A_BY_DEPTH, true>(shared, factors, row, column, isRounded);
      factors = second;
    }
  } else {
    tile.template add<A_BY_DEPTH, false>(shared, first, row, column, isRounded);
    tile.template add<A_BY_DEPTH, true>(shared, second, row, column, isRounded);
  }
  storeTile(tile, target, row, column);
}

template <class Shape>
struct InFloat32 {
  using Tile = FmaTile<Shape>;
  static constexpr bool IS_ROUNDED = false;
};
template <class Shape>
struct InBfloat16 {
#if __CUDA_ARCH__ >= 800
  using Tile = MmaTile<Shape>;
#else
  using Tile = FmaTile<Shape>;
#endif
  static constexpr bool IS_ROUNDED = true;
};

}  // namespace

#define QD_PRODUCT(NAME, SHAPE, COMPUTE, A_BY_DEPTH, B_BY_DEPTH)                                            \
  extern "C" __global__ void __launch_bounds__(SHAPE::THREADS)                                              \
      NAME(const void* a, int aIsHalf, const void* b, int bIsHalf, int depth, const void* a2, int a2IsHalf, \
           const void* b2, int b2IsHalf, int depth2, const void* before, int beforeKind, const float* bias, \
           int hasBias, void* c, int cIsHalf, int rows, int columns) {                                      \
    const Matrix left = {a, aIsHalf != 0, A_BY_DEPTH ? depth : rows, A_BY_DEPTH ? rows : depth};            \
    const Matrix right = {b, bIsHalf != 0, B_BY_DEPTH ? depth : columns, B_BY_DEPTH ? columns : depth};     \
    const Matrix left2 = {a2, a2IsHalf != 0, A_BY_DEPTH ? depth2 : rows, A_BY_DEPTH ? rows : depth2};       \
    const Matrix right2 = {b2, b2IsHalf != 0, depth2, columns};                                             \
    const Target target = {before, beforeKind, bias, hasBias != 0, c, cIsHalf != 0, rows, columns};         \
    product<SHAPE, COMPUTE<SHAPE>::Tile, A_BY_DEPTH, B_BY_DEPTH>(                                           \
        {left, right, depth}, {left2, right2, depth2}, target, COMPUTE<SHAPE>::IS_ROUNDED);                 \
  }

QD_PRODUCT(productNtF32, SmallTile, InFloat32, false, false)
QD_PRODUCT(productNnF32, SmallTile, InFloat32, false, true)
QD_PRODUCT(productTnF32, SmallTile, InFloat32, true, true)
QD_PRODUCT(productNtBf16, SmallTile, InBfloat16, false, false)
QD_PRODUCT(productNnBf16, SmallTile, InBfloat16, false, true)
QD_PRODUCT(productTnBf16, SmallTile, InBfloat16, true, true)
QD_PRODUCT(largeProductNtBf16, LargeTile, InBfloat16, false, false)
QD_PRODUCT(largeProductNnBf16, LargeTile, InBfloat16, false, true)
QD_PRODUCT(largeProductTnBf16, LargeTile, InBfloat16, true, true)

// dBias += Σ dy over tokens: a thread owns a column, and adds from the first row to the last.
extern "C" __global__ void addColumnSums(const void* dy, int isHalf, float* dBias, int rows, int columns) {
  const int column = blockIdx.x * blockDim.x + threadIdx.x;
  if (column >= columns) return;
  float sum = 0.f;
  for (int row = 0; row < rows; row++) {
    const Size at = static_cast<Size>(row) * columns + column;
    sum += isHalf ? toFloat(static_cast<const BFloat16*>(dy)[at]) : static_cast<const float*>(dy)[at];
  }
  dBias[column] += sum;
}
