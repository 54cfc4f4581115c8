// Computes: c = before + a·b + a₂·b₂ + bias, with float32 sums: the products of linear and its gradients, and
//   of every op that is made of them. NT: b and a₂·b₂ as a·bᵀ + a₂·b₂; NN: a·b + a₂·b₂; TN: aᵀ·b.
// Owners: a block owns a tile of c, 64 × 64 or 128 × 128; the sum of an element is in one thread, over all of
//   a·b and then all of a₂·b₂, in an order that depends on the depths alone.
// Cost: 2 · rows · columns · depth operations; each operand is read once per tile of the other. Tensor cores
//   multiply bfloat16 from sm_80 on and float16 everywhere: at 128 × 128, 64 operations a byte, bound by the
//   tensor cores.
// Assumes: contiguous matrices of sizes below 2³¹ (linear.ts). c may be the array of `before`. Any alignment:
//   chunks that do not begin at 16 bytes are read element by element.
// Dropped: bfloat16 by the tensor cores of sm_70 and sm_75, which have float16 alone: the same sums by fused
//   multiply-adds of rounded operands. Split sums for few tiles; wgmma. Not measured on a device.
#include "chosen-tile.h"

namespace {

// Where the tile goes: c = before + sum + bias.
struct Target {
  const void* before;
  int beforeKind;  // 0: none, else 1 + its kind
  const float* bias;
  bool hasBias;
  void* c;
  int kind;
  int rows;
  int columns;
};

__device__ void storeElement(const Target& target, Size at, int column, float sum) {
  if (column >= target.columns) return;
  if (target.hasBias) sum += target.bias[column];
  if (target.beforeKind > 0) sum += elementOf(target.before, target.beforeKind - 1, at);
  putElement(target.c, target.kind, at, sum);
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
__device__ void product(const Factors& first, const Factors& second, const Target& target) {
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
      tile.template add<A_BY_DEPTH, true>(shared, factors, row, column);
      factors = second;
    }
  } else {
    tile.template add<A_BY_DEPTH, false>(shared, first, row, column);
    tile.template add<A_BY_DEPTH, true>(shared, second, row, column);
  }
  storeTile(tile, target, row, column);
}

}  // namespace

#define QD_PRODUCT(NAME, SHAPE, OPERAND, A_BY_DEPTH, B_BY_DEPTH)                                          \
  extern "C" __global__ void __launch_bounds__(SHAPE::THREADS)                                            \
      NAME(const void* a, int aKind, const void* b, int bKind, int depth, const void* a2, int a2Kind,     \
           const void* b2, int b2Kind, int depth2, const void* before, int beforeKind, const float* bias, \
           int hasBias, void* c, int cKind, int rows, int columns) {                                      \
    const Matrix left = {a, aKind, A_BY_DEPTH ? depth : rows, A_BY_DEPTH ? rows : depth};                 \
    const Matrix right = {b, bKind, B_BY_DEPTH ? depth : columns, B_BY_DEPTH ? columns : depth};          \
    const Matrix left2 = {a2, a2Kind, A_BY_DEPTH ? depth2 : rows, A_BY_DEPTH ? rows : depth2};            \
    const Matrix right2 = {b2, b2Kind, depth2, columns};                                                  \
    const Target target = {before, beforeKind, bias, hasBias != 0, c, cKind, rows, columns};              \
    product<SHAPE, TileOf<SHAPE, OPERAND>, A_BY_DEPTH, B_BY_DEPTH>({left, right, depth},                  \
                                                                   {left2, right2, depth2}, target);      \
  }
#define QD_SMALL_NT(NAME, OPERAND) QD_PRODUCT(NAME, SmallTile, OPERAND, false, false)
#define QD_SMALL_NN(NAME, OPERAND) QD_PRODUCT(NAME, SmallTile, OPERAND, false, true)
#define QD_SMALL_TN(NAME, OPERAND) QD_PRODUCT(NAME, SmallTile, OPERAND, true, true)
QD_FOR_ELEMENTS(QD_SMALL_NT, productNt)
QD_FOR_ELEMENTS(QD_SMALL_NN, productNn)
QD_FOR_ELEMENTS(QD_SMALL_TN, productTn)

QD_PRODUCT(largeProductNtBf16, LargeTile, BFloat16, false, false)
QD_PRODUCT(largeProductNnBf16, LargeTile, BFloat16, false, true)
QD_PRODUCT(largeProductTnBf16, LargeTile, BFloat16, true, true)
QD_PRODUCT(largeProductNtF16, LargeTile, Float16, false, false)
QD_PRODUCT(largeProductNnF16, LargeTile, Float16, false, true)
QD_PRODUCT(largeProductTnF16, LargeTile, Float16, true, true)

// dBias += Σ dy over tokens: a thread owns a column, and adds from the first row to the last.
extern "C" __global__ void addColumnSums(const void* dy, int kind, float* dBias, int rows, int columns) {
  const int column = blockIdx.x * blockDim.x + threadIdx.x;
  if (column >= columns) return;
  float sum = 0.f;
  for (int row = 0; row < rows; row++) {
    const Size at = static_cast<Size>(row) * columns + column;
    sum += elementOf(dy, kind, at);
  }
  dBias[column] += sum;
}
