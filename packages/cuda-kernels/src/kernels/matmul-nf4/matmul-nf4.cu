// Computes: y = x·Wᵀ + bias of one to four rows of x and a 4-bit W, decoded as in dequantize-blockwise and
//   rounded to `operandKind`; sums in float32. More rows decode W to a buffer: matmul-nf4.ts.
// Owners: a warp owns a row of W, lane j its columns 8j … 8j + 7, 8j + 256 …; the lanes' sums are added as a
//   tree. The levels are in shared memory.
// Cost: reads 0.5 to 0.6 bytes per weight, and x once per warp from the caches: bound by bandwidth for one
//   row, by the instructions that decode for four.
// Assumes: rows of W that are whole blocks, or tiles (matmul-nf4.ts). Any alignment.
// Dropped: tensor cores for 5 to 64 rows, with W decoded in registers. Not measured on a device.
#include "quantized-weight.h"
#include "tile-product.h"

namespace {

constexpr int MOST_TOKENS = 4;  // as in matmul-nf4.ts
constexpr int LANES = 32;

struct Call {
  Matrix x;
  const unsigned char* codes;
  const float* levels;
  const float* bias;
  bool hasBias;
  void* y;
  int yKind;
  int rows;
  int blockSize;
  unsigned tileColumns;
  int operandKind;
};

// Adds eight columns of a row of W, from `column` on, to the sums of all rows of x.
template <class Scales>
__device__ void addChunk(const Call& call, const float* levels, const Scales& scales, int row, int column,
                         float (&sums)[MOST_TOKENS]) {
  const Size at = static_cast<Size>(row) * call.x.columns + column;
  const Size block = at / call.blockSize;
  const Size piece = pieceOf(block, call.tileColumns);
  const unsigned packed = loadCodes(call.codes + (piece * call.blockSize + at % call.blockSize) / 2, CHUNK);
  const float scale = scales.of(piece, block);
  float weights[CHUNK];
#pragma unroll
  for (int i = 0; i < CHUNK; i++) {
    weights[i] = asOperand(call.operandKind, __fmul_rn(levels[codeAt(packed, i)], scale));
  }
#pragma unroll
  for (int token = 0; token < MOST_TOKENS; token++) {
    if (token >= call.x.rows) break;
    float values[CHUNK];
    loadChunk(call.x, token, column, values);
#pragma unroll
    for (int i = 0; i < CHUNK; i++)
      sums[token] = fmaf(asOperand(call.operandKind, values[i]), weights[i], sums[token]);
  }
}

template <class Scales>
__device__ void multiplyFewRows(const Call& call, const Scales& scales) {
  __shared__ float levels[LEVELS];
  if (threadIdx.x < LEVELS) levels[threadIdx.x] = call.levels[threadIdx.x];
  __syncthreads();
  const int row = (blockIdx.x * blockDim.x + threadIdx.x) / LANES;
  if (row >= call.rows) return;  // a whole warp
  const int lane = threadIdx.x % LANES;
  float sums[MOST_TOKENS] = {};
#pragma unroll 1
  for (int column = CHUNK * lane; column < call.x.columns; column += CHUNK * LANES)
    addChunk(call, levels, scales, row, column, sums);
#pragma unroll
  for (int token = 0; token < MOST_TOKENS; token++) {
    for (int distance = LANES / 2; distance > 0; distance /= 2)
      sums[token] += __shfl_xor_sync(0xffffffffu, sums[token], distance);
    if (lane != 0 || token >= call.x.rows) continue;
    const float sum = sums[token] + (call.hasBias ? call.bias[row] : 0.f);
    const Size at = static_cast<Size>(token) * call.rows + row;
    putElement(call.y, call.yKind, at, sum);
  }
}

}  // namespace

extern "C" __global__ void fewRows(const void* x, int xKind, const unsigned char* codes, const float* levels,
                                   const float* absmax, const float* bias, int hasBias, void* y, int yKind,
                                   int tokens, int rows, int cols, int blockSize, unsigned tileColumns,
                                   int operandKind) {
  multiplyFewRows({{x, xKind, tokens, cols},
                   codes,
                   levels,
                   bias,
                   hasBias != 0,
                   y,
                   yKind,
                   rows,
                   blockSize,
                   tileColumns,
                   operandKind},
                  PlainScales{absmax});
}

extern "C" __global__ void fewRowsNested(const void* x, int xKind, const unsigned char* codes,
                                         const float* levels, const unsigned char* absmaxCodes,
                                         const float* nestedAbsmax, const float* nestedMap, const float* bias,
                                         int hasBias, void* y, int yKind, int tokens, int rows, int cols,
                                         int blockSize, unsigned tileColumns, int operandKind,
                                         float nestedOffset) {
  multiplyFewRows({{x, xKind, tokens, cols},
                   codes,
                   levels,
                   bias,
                   hasBias != 0,
                   y,
                   yKind,
                   rows,
                   blockSize,
                   tileColumns,
                   operandKind},
                  NestedScales{absmaxCodes, nestedAbsmax, nestedMap, nestedOffset});
}
