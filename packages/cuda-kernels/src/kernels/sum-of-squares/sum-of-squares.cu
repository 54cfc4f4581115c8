// Computes: sum = Σ x², in float64 until the one rounding; infinite or NaN as soon as an entry is.
// Owners: a block owns 4,096 consecutive elements, thread j the elements j, j + 256, …; one block adds the
//   sums of the blocks, thread j the sums j, j + 256, …
// Cost: 4 bytes per element and one sum in float64, which a GPU without fast float64 does at 1/64 of its
//   rate: bound by the bandwidth of memory all the same.
// Assumes: blocks of 256 threads (sum-of-squares.ts). A partial sum is two words, since scratch has words.
// Dropped: nothing yet. Not measured on a device.
#include "block-sum.h"
#include "element.h"

namespace {

constexpr Size ELEMENTS_OF_BLOCK = 4096;  // as in sum-of-squares.ts

}  // namespace

// partials: [blocks, 2]
extern "C" __global__ void squarePartials(const float* x, unsigned* partials, Size n) {
  __shared__ double sums[LARGEST_BLOCK / WARP];
  const Size begin = blockIdx.x * ELEMENTS_OF_BLOCK;
  const Size end = min(n, begin + ELEMENTS_OF_BLOCK);
  double sum = 0;
  for (Size i = begin + threadIdx.x; i < end; i += blockDim.x) {
    const double value = x[i];
    sum += value * value;
  }
  sum = blockSum(sum, sums);
  if (threadIdx.x != 0) return;
  partials[2 * blockIdx.x] = static_cast<unsigned>(__double2loint(sum));
  partials[2 * blockIdx.x + 1] = static_cast<unsigned>(__double2hiint(sum));
}

extern "C" __global__ void addSquares(const unsigned* partials, float* total, int count) {
  __shared__ double sums[LARGEST_BLOCK / WARP];
  double sum = 0;
  for (int i = threadIdx.x; i < count; i += blockDim.x)
    sum += __hiloint2double(static_cast<int>(partials[2 * i + 1]), static_cast<int>(partials[2 * i]));
  sum = blockSum(sum, sums);
  if (threadIdx.x == 0) *total = static_cast<float>(sum);
}
