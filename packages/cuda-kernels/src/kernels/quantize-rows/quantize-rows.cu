// Computes: scale = largest |weight| of a row / 127; code = weight · (1 / scale), rounded to nearest even.
//   The scale is NaN and the codes are 0 where a row is not finite or its scale is below 2⁻¹⁰⁰. The same
//   bytes as the reference.
// Owners: a block owns a row, thread j the columns j, j + threads, …
// Cost: reads a row twice, the second time from the second cache, and writes 1 byte per element: bound by the
//   bandwidth of memory.
// Assumes: contiguous rows (runOp checks) and blocks of whole warps (quantize-rows.ts).
// Dropped: nothing yet. Not measured on a device.
#include "block-sum.h"
#include "element.h"

namespace {

constexpr float LARGEST_CODE = 127.f;
constexpr float LEAST_SCALE = 0x1p-100f;

template <class T>
__device__ void quantizeRow(const T* weight, unsigned char* codes, float* scales, int cols) {
  __shared__ unsigned partials[LARGEST_BLOCK / WARP];
  const Size row = static_cast<Size>(blockIdx.x) * cols;
  unsigned bits = 0;
  for (int j = threadIdx.x; j < cols; j += blockDim.x)
    bits = max(bits, magnitudeBits(toFloat(weight[row + j])));
  bits = blockMax(bits, partials);
  float scale = __fdiv_rn(__uint_as_float(bits), LARGEST_CODE);
  if (bits >= INFINITY_BITS || (bits != 0 && scale < LEAST_SCALE)) scale = __uint_as_float(0x7fc00000u);
  const float inverse = scale > 0.f ? __fdiv_rn(1.f, scale) : 0.f;
  if (threadIdx.x == 0) scales[blockIdx.x] = scale;
  for (int j = threadIdx.x; j < cols; j += blockDim.x)
    codes[row + j] = inverse == 0.f ? 0 : __float2int_rn(__fmul_rn(toFloat(weight[row + j]), inverse)) & 255;
}

}  // namespace

#define QD_QUANTIZE_ROWS(NAME, T)                                                                   \
  extern "C" __global__ void NAME(const T* weight, unsigned char* codes, float* scales, int cols) { \
    quantizeRow(weight, codes, scales, cols);                                                       \
  }
QD_FOR_ELEMENTS(QD_QUANTIZE_ROWS, quantizeRows)
