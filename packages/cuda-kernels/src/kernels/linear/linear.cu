// Computes: products with float32 sums, of linear and its gradients, and of every op that is made of them.
//   Nt: c = a·bᵀ + a₂·b₂ + bias. Nn: c = before + a·b + a₂·b₂. Tn: c += aᵀ·b.
// Owners: a block owns a tile of c, 64 × 64 or 128 × 128; the sum of an element is in one thread, over all of
//   a·b and then all of a₂·b₂, in an order that depends on the depths alone.
// Cost: 2 · rows · columns · depth operations; each operand is read once per tile of the other. Tensor cores
//   multiply bfloat16 from sm_80 on and float16 everywhere: at 128 × 128, 64 operations a byte, bound by the
//   tensor cores.
// Assumes: contiguous matrices of sizes below 2³¹ (linear.ts). a₂ and b₂ are float32, and so is c of Tn.
//   Nn: c may be the array of `before`. Any alignment: chunks that do not begin at 16 bytes are read element
//   by element.
// Dropped: bfloat16 by the tensor cores of sm_70 and sm_75, which have float16 alone: the same sums by fused
//   multiply-adds of rounded operands. Split sums for few tiles; wgmma. Not measured on a device.
#include "chosen-tile.h"

namespace {

// Where the tile goes.
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

// The forms of a product: which factors are [depth, …], whether there is a₂·b₂, and what the sum becomes.
struct Nt {
  static constexpr bool A_BY_DEPTH = false;
  static constexpr bool B_BY_DEPTH = false;
  static constexpr bool HAS_SECOND = true;
  __device__ static void store(const Target& target, Size at, int column, float sum) {
    if (target.hasBias) sum += target.bias[column];
    putElement(target.c, target.kind, at, sum);
  }
};
struct Nn {
  static constexpr bool A_BY_DEPTH = false;
  static constexpr bool B_BY_DEPTH = true;
  static constexpr bool HAS_SECOND = true;
  __device__ static void store(const Target& target, Size at, int, float sum) {
    if (target.beforeKind > 0) sum += elementOf(target.before, target.beforeKind - 1, at);
    putElement(target.c, target.kind, at, sum);
  }
};
struct Tn {
  static constexpr bool A_BY_DEPTH = true;
  static constexpr bool B_BY_DEPTH = true;
  static constexpr bool HAS_SECOND = false;
  __device__ static void store(const Target& target, Size at, int, float sum) {
    static_cast<float*>(target.c)[at] += sum;
  }
};

template <class Form, class Tile>
__device__ void storeTile(const Tile& tile, const Target& target, int firstRow, int firstColumn) {
  tile.forEachPair([&](int row, int column, float left, float right) {
    row += firstRow;
    column += firstColumn;
    if (row >= target.rows) return;
    const Size at = static_cast<Size>(row) * target.columns + column;
    if (column < target.columns) Form::store(target, at, column, left);
    if (column + 1 < target.columns) Form::store(target, at + 1, column + 1, right);
  });
}

template <class Form, class Shape, class Tile>
__device__ void product(const Factors& first, const Factors& second, const Target& target) {
  __shared__ typename Tile::Shared shared;
  const int tilesOfColumn = (target.rows + Shape::ROWS - 1) / Shape::ROWS;
  const int row = blockIdx.x % tilesOfColumn * Shape::ROWS;
  const int column = blockIdx.x / tilesOfColumn * Shape::COLUMNS;
  Tile tile;
  tile.clear();
  if (!Form::HAS_SECOND) {
    tile.template add<Form::A_BY_DEPTH, Form::B_BY_DEPTH>(shared, first, row, column);
  } else if (Form::B_BY_DEPTH) {  // both products by one piece of code
    Factors factors = first;
#pragma unroll 1
    for (int i = 0; i < 2; i++) {
      tile.template add<Form::A_BY_DEPTH, true>(shared, factors, row, column);
      factors = second;
    }
  } else {
    tile.template add<Form::A_BY_DEPTH, false>(shared, first, row, column);
    tile.template add<Form::A_BY_DEPTH, true>(shared, second, row, column);
  }
  storeTile<Form>(tile, target, row, column);
}

}  // namespace

// All forms have the same arguments, also those that they do not read.
#define QD_PRODUCT(NAME, FORM, SHAPE, OPERAND)                                                               \
  extern "C" __global__ void __launch_bounds__(SHAPE::THREADS)                                               \
      NAME(const void* a, int aKind, const void* b, int bKind, int depth, const float* a2, const float* b2,  \
           int depth2, const void* before, int beforeKind, const float* bias, int hasBias, void* c,          \
           int cKind, int rows, int columns) {                                                               \
    const Matrix left = {a, aKind, FORM::A_BY_DEPTH ? depth : rows, FORM::A_BY_DEPTH ? rows : depth};        \
    const Matrix right = {b, bKind, FORM::B_BY_DEPTH ? depth : columns, FORM::B_BY_DEPTH ? columns : depth}; \
    const Matrix left2 = {a2, FLOAT32, rows, depth2};                                                        \
    const Matrix right2 = {b2, FLOAT32, depth2, columns};                                                    \
    const Target target = {before, beforeKind, bias, hasBias != 0, c, cKind, rows, columns};                 \
    product<FORM, SHAPE, TileOf<SHAPE, OPERAND>>({left, right, depth}, {left2, right2, depth2}, target);     \
  }
#define QD_SMALL_NT(NAME, OPERAND) QD_PRODUCT(NAME, Nt, SmallTile, OPERAND)
#define QD_SMALL_NN(NAME, OPERAND) QD_PRODUCT(NAME, Nn, SmallTile, OPERAND)
#define QD_SMALL_TN(NAME, OPERAND) QD_PRODUCT(NAME, Tn, SmallTile, OPERAND)
QD_FOR_ELEMENTS(QD_SMALL_NT, productNt)
QD_FOR_ELEMENTS(QD_SMALL_NN, productNn)
QD_FOR_ELEMENTS(QD_SMALL_TN, productTn)

QD_PRODUCT(largeProductNtBf16, Nt, LargeTile, BFloat16)
QD_PRODUCT(largeProductNnBf16, Nn, LargeTile, BFloat16)
QD_PRODUCT(largeProductTnBf16, Tn, LargeTile, BFloat16)
QD_PRODUCT(largeProductNtF16, Nt, LargeTile, Float16)
QD_PRODUCT(largeProductNnF16, Nn, LargeTile, Float16)
QD_PRODUCT(largeProductTnF16, Tn, LargeTile, Float16)

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
