// Computes: values[i] = fl(levels[code i] · scale of its block), rounded to bfloat16 where asked; scale =
//   absmax, or fl(fl(nestedMap[absmaxCodes] · nestedAbsmax) + nestedOffset). The same bits as the reference.
// Owners: a thread owns eight consecutive values: four bytes of codes, all of one block of values. The
//   levels are in shared memory, one bank each, so that look-ups never collide.
// Cost: reads 0.5 to 0.6 and writes 4 (bfloat16: 2) bytes per value: bound by the bandwidth of stores.
// Assumes: block sizes that are multiples of 8, codes of (n + 1) / 2 bytes, 16 levels (runOp checks); at
//   least 16 threads a block (dequantize-blockwise.ts). Any alignment.
// Dropped: nothing yet. The index of a tile costs three divisions per thread. Not measured on a device.
#include "bfloat16.h"

namespace {

constexpr int PER_THREAD = 8;
constexpr int NESTED_BLOCK = 256;
constexpr int TILE_ROWS = 32;

// Where the codes and the scale of a block of values are, counted in blocks; nestedAbsmax stays row-major.
// Rows of `tileColumns` blocks are in tiles of 32 rows (tile-order.ts of quant); 0: row-major.
__device__ Size pieceOf(Size block, unsigned tileColumns) {
  if (tileColumns == 0) return block;
  const Size row = block / tileColumns;
  const Size column = block % tileColumns;
  return (row / TILE_ROWS * tileColumns + column) * TILE_ROWS + row % TILE_ROWS;
}

template <class T>
__device__ void decodeRun(const unsigned char* codes, const float* levels, float scale, T* values,
                          int count) {
  alignas(16) T decoded[PER_THREAD];
  unsigned packed = 0;
  if (count == PER_THREAD && reinterpret_cast<Size>(codes) % 4 == 0)
    packed = *reinterpret_cast<const unsigned*>(codes);
  else
    for (int i = 0; i < (count + 1) / 2; i++) packed |= static_cast<unsigned>(codes[i]) << 8 * i;
  for (int i = 0; i < PER_THREAD; i++) {
    const unsigned code = packed >> (8 * (i / 2) + (i % 2 ? 0 : 4)) & 15u;
    put(decoded[i], __fmul_rn(levels[code], scale));
  }
  if (count == PER_THREAD && reinterpret_cast<Size>(values) % 16 == 0) {
    constexpr int WORDS = PER_THREAD * sizeof(T) / sizeof(uint4);
    for (int i = 0; i < WORDS; i++)
      reinterpret_cast<uint4*>(values)[i] = reinterpret_cast<const uint4*>(decoded)[i];
  } else {
    for (int i = 0; i < PER_THREAD; i++)
      if (i < count) values[i] = decoded[i];
  }
}

template <class T, class ScaleOf>
__device__ void dequantize(const unsigned char* codes, const float* levels, T* values, Size n, int blockSize,
                           unsigned tileColumns, const ScaleOf& scaleOf) {
  __shared__ float sharedLevels[16];
  if (threadIdx.x < 16) sharedLevels[threadIdx.x] = levels[threadIdx.x];
  __syncthreads();
  const Size begin = PER_THREAD * (static_cast<Size>(blockIdx.x) * blockDim.x + threadIdx.x);
  if (begin >= n) return;
  const int count = n - begin < PER_THREAD ? static_cast<int>(n - begin) : PER_THREAD;
  const Size block = begin / blockSize;
  const Size piece = pieceOf(block, tileColumns);
  const Size firstCode = (piece * blockSize + begin % blockSize) / 2;
  decodeRun(codes + firstCode, sharedLevels, scaleOf(piece, block), values + begin, count);
}

}  // namespace

#define QD_PLAIN(NAME, T)                                                                               \
  extern "C" __global__ void NAME(const unsigned char* codes, const float* levels, const float* absmax, \
                                  T* values, Size n, int blockSize, unsigned tileColumns) {             \
    dequantize(codes, levels, values, n, blockSize, tileColumns,                                        \
               [&](Size piece, Size) { return absmax[piece]; });                                        \
  }
#define QD_NESTED(NAME, T)                                                                              \
  extern "C" __global__ void NAME(const unsigned char* codes, const float* levels,                      \
                                  const unsigned char* absmaxCodes, const float* nestedAbsmax,          \
                                  const float* nestedMap, T* values, Size n, int blockSize,             \
                                  unsigned tileColumns, float nestedOffset) {                           \
    dequantize(codes, levels, values, n, blockSize, tileColumns, [&](Size piece, Size block) {          \
      const float scale = __fmul_rn(nestedMap[absmaxCodes[piece]], nestedAbsmax[block / NESTED_BLOCK]); \
      return __fadd_rn(scale, nestedOffset);                                                            \
    });                                                                                                 \
  }

QD_PLAIN(dequantizeF32, float)
QD_PLAIN(dequantizeBf16, BFloat16)
QD_NESTED(dequantizeNestedF32, float)
QD_NESTED(dequantizeNestedBf16, BFloat16)
