// Computes: values[i] = fl(levels[code i] · scale of its block), rounded to two bytes where asked; scale =
//   absmax, or fl(fl(nestedMap[absmaxCodes] · nestedAbsmax) + nestedOffset). The same bits as the reference.
// Owners: a thread owns eight consecutive values: four bytes of codes, all of one block of values. The
//   levels are in shared memory, one bank each, so that look-ups never collide.
// Cost: reads 0.5 to 0.6 and writes 4 (or 2) bytes per value: bound by the bandwidth of stores.
// Assumes: block sizes that are multiples of 8, codes of (n + 1) / 2 bytes, 16 levels (runOp checks); at
//   least 16 threads a block (launch-dequantize.ts). Any alignment.
// Dropped: nothing yet. The index of a tile costs three divisions per thread. Not measured on a device.
#include "quantized-weight.h"

namespace {

template <class T>
__device__ void decodeRun(unsigned packed, const float* levels, float scale, T* values, int count) {
  alignas(16) T decoded[CODES_OF_WORD];
  for (int i = 0; i < CODES_OF_WORD; i++) put(decoded[i], __fmul_rn(levels[codeAt(packed, i)], scale));
  if (count == CODES_OF_WORD && reinterpret_cast<Size>(values) % 16 == 0) {
    constexpr int WORDS = CODES_OF_WORD * sizeof(T) / sizeof(uint4);
    for (int i = 0; i < WORDS; i++)
      reinterpret_cast<uint4*>(values)[i] = reinterpret_cast<const uint4*>(decoded)[i];
  } else {
    for (int i = 0; i < CODES_OF_WORD; i++)
      if (i < count) values[i] = decoded[i];
  }
}

template <class T, class Scales>
__device__ void dequantize(const unsigned char* codes, const float* levels, T* values, Size n, int blockSize,
                           unsigned tileColumns, const Scales& scales) {
  __shared__ float sharedLevels[LEVELS];
  if (threadIdx.x < LEVELS) sharedLevels[threadIdx.x] = levels[threadIdx.x];
  __syncthreads();
  const Size begin = CODES_OF_WORD * (static_cast<Size>(blockIdx.x) * blockDim.x + threadIdx.x);
  if (begin >= n) return;
  const int count = n - begin < CODES_OF_WORD ? static_cast<int>(n - begin) : CODES_OF_WORD;
  const Size block = begin / blockSize;
  const Size piece = pieceOf(block, tileColumns);
  const Size firstCode = (piece * blockSize + begin % blockSize) / 2;
  decodeRun(loadCodes(codes + firstCode, count), sharedLevels, scales.of(piece, block), values + begin,
            count);
}

}  // namespace

#define QD_PLAIN(NAME, T)                                                                               \
  extern "C" __global__ void NAME(const unsigned char* codes, const float* levels, const float* absmax, \
                                  T* values, Size n, int blockSize, unsigned tileColumns) {             \
    dequantize(codes, levels, values, n, blockSize, tileColumns, PlainScales{absmax});                  \
  }
#define QD_NESTED(NAME, T)                                                                     \
  extern "C" __global__ void NAME(const unsigned char* codes, const float* levels,             \
                                  const unsigned char* absmaxCodes, const float* nestedAbsmax, \
                                  const float* nestedMap, T* values, Size n, int blockSize,    \
                                  unsigned tileColumns, float nestedOffset) {                  \
    dequantize(codes, levels, values, n, blockSize, tileColumns,                               \
               NestedScales{absmaxCodes, nestedAbsmax, nestedMap, nestedOffset});              \
  }

QD_FOR_ELEMENTS(QD_PLAIN, dequantize)
QD_FOR_ELEMENTS(QD_NESTED, dequantizeNested)
