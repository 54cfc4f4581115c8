// Computes: absmax[b] = max |values| of block b; code = nearest level to value / absmax, the lower one on a
//   limit; two codes a byte, high nibble first. The same bytes as the reference. Values that are not finite
//   make an absmax that is not finite: callers look there.
// Owners: a warp owns a block of values, lane j the pairs j, j + 32, …: one byte of codes each.
// Cost: reads a block twice, the second time from the first cache: 4.6 bytes per value (2.6 of two
//   bytes) and 15 comparisons: bound by the comparisons.
// Assumes: the 15 limits between sorted levels and the codes of their places, four bits each
//   (quantize-blockwise.ts); block sizes that are multiples of 32.
// Dropped: a binary search: its limits would have to be looked up. Not measured on a device.
#include "quantized-weight.h"

namespace {

constexpr int LANES = 32;
constexpr int LIMITS = 15;
// bitsandbytes' floor for a divisor: 1 / 1e-38 is still finite.
constexpr float SMALLEST_DIVISOR = 1e-38f;

struct Search {
  float limits[LIMITS];
  unsigned lowCodes;   // of places 0 to 7
  unsigned highCodes;  // of places 8 to 15

  __device__ unsigned codeOf(float x) const {
    int place = 0;
#pragma unroll
    for (int i = 0; i < LIMITS; i++) place += x > limits[i];
    return (place < 8 ? lowCodes >> 4 * place : highCodes >> 4 * (place - 8)) & 15u;
  }
};

template <class T>
__device__ void quantize(const T* values, unsigned char* codes, float* absmax, Size n, int blockSize,
                         unsigned tileColumns, const Search& search) {
  const Size block = (static_cast<Size>(blockIdx.x) * blockDim.x + threadIdx.x) / LANES;
  const Size begin = block * blockSize;
  if (begin >= n) return;  // a whole warp
  const int lane = threadIdx.x % LANES;
  const int count = n - begin < blockSize ? static_cast<int>(n - begin) : blockSize;
  unsigned most = 0;
  for (int i = lane; i < count; i += LANES)
    most = max(most, __float_as_uint(toFloat(values[begin + i])) & 0x7fffffffu);
  for (int distance = LANES / 2; distance > 0; distance /= 2)
    most = max(most, __shfl_xor_sync(0xffffffffu, most, distance));
  if (lane == 0) absmax[block] = __uint_as_float(most);
  const float divisor = fmaxf(__uint_as_float(most), SMALLEST_DIVISOR);
  const float reciprocal = __fdiv_rn(1.f, divisor);
  const auto normalized = [&](int i) {
    if (i >= count) return 0.f;
    const float value = toFloat(values[begin + i]);
    return count == blockSize ? __fmul_rn(value, reciprocal) : __fdiv_rn(value, divisor);
  };
  unsigned char* target = codes + pieceOf(block, tileColumns) * blockSize / 2;
  for (int pair = lane; 2 * pair < count; pair += LANES)
    target[pair] = static_cast<unsigned char>(search.codeOf(normalized(2 * pair)) << 4 |
                                              search.codeOf(normalized(2 * pair + 1)));
}

}  // namespace

#define QD_QUANTIZE(NAME, T)                                                                              \
  extern "C" __global__ void NAME(                                                                        \
      const T* values, unsigned char* codes, float* absmax, Size n, int blockSize, unsigned tileColumns,  \
      float l0, float l1, float l2, float l3, float l4, float l5, float l6, float l7, float l8, float l9, \
      float l10, float l11, float l12, float l13, float l14, unsigned lowCodes, unsigned highCodes) {     \
    quantize(values, codes, absmax, n, blockSize, tileColumns,                                            \
             {{l0, l1, l2, l3, l4, l5, l6, l7, l8, l9, l10, l11, l12, l13, l14}, lowCodes, highCodes});   \
  }

QD_FOR_ELEMENTS(QD_QUANTIZE, quantize)
