// Computes: y = (x − mean) · r · weight + bias, r = 1 / √(variance + ε). Backward with n = (x − mean) · r and
//   g = dy · weight: dx = r · (g − mean(g) − n · mean(g · n)); dWeight += Σ dy · n, dBias += Σ dy.
// Owners: a block owns one row, thread j the columns j, j + threads, …; for dWeight and dBias a thread owns
//   one column of 32 rows and then one column of all blocks of rows, added in their order: no atomics.
// Cost: forward 8 bytes per element, backward 12 (16 where dx is added to), dWeight and dBias 8: bound by the
//   bandwidth of memory. Rows are read again from the second cache.
// Assumes: contiguous rows of `hidden` ≥ 1 elements (runOp checks) and blocks of whole warps (layer-norm.ts).
// Dropped: one pass for mean and variance: it loses digits of rows far from 0. Not measured on a device.
#include "block-sum.h"
#include "element.h"

namespace {

constexpr int ROWS_OF_PARTIAL = 32;  // as PARTIAL_ROWS in layer-norm.ts

}  // namespace

extern "C" __global__ void layerNorm(const float* x, const float* weight, const float* bias, int hasBias,
                                     float* y, float* means, float* inverseDeviations, int hidden,
                                     float epsilon) {
  __shared__ float sums[LARGEST_BLOCK / WARP], squareSums[LARGEST_BLOCK / WARP];
  const Size row = static_cast<Size>(blockIdx.x) * hidden;
  float sum = 0.f;
  for (int j = threadIdx.x; j < hidden; j += blockDim.x) sum += x[row + j];
  const float mean = blockSum(sum, sums) / static_cast<float>(hidden);
  float squares = 0.f;
  for (int j = threadIdx.x; j < hidden; j += blockDim.x) {
    const float difference = x[row + j] - mean;
    squares += difference * difference;
  }
  const float variance = blockSum(squares, squareSums) / static_cast<float>(hidden);
  const float inverse = 1.f / sqrtf(variance + epsilon);
  if (threadIdx.x == 0) {
    means[blockIdx.x] = mean;
    inverseDeviations[blockIdx.x] = inverse;
  }
  for (int j = threadIdx.x; j < hidden; j += blockDim.x)
    y[row + j] = (x[row + j] - mean) * inverse * weight[j] + (hasBias ? bias[j] : 0.f);
}

extern "C" __global__ void layerNormBackward(const float* x, const float* weight, const float* means,
                                             const float* inverseDeviations, const float* dy, float* dx,
                                             int hidden, int accumulate) {
  __shared__ float sums[LARGEST_BLOCK / WARP], projections[LARGEST_BLOCK / WARP];
  const Size row = static_cast<Size>(blockIdx.x) * hidden;
  const float mean = means[blockIdx.x];
  const float r = inverseDeviations[blockIdx.x];
  float sum = 0.f;
  float projection = 0.f;
  for (int j = threadIdx.x; j < hidden; j += blockDim.x) {
    const float g = dy[row + j] * weight[j];
    sum += g;
    projection += g * (x[row + j] - mean) * r;
  }
  const float meanGradient = blockSum(sum, sums) / static_cast<float>(hidden);
  const float meanProjection = blockSum(projection, projections) / static_cast<float>(hidden);
  for (int j = threadIdx.x; j < hidden; j += blockDim.x) {
    const float normalized = (x[row + j] - mean) * r;
    const float gradient = r * (dy[row + j] * weight[j] - meanGradient - normalized * meanProjection);
    dx[row + j] = accumulate ? dx[row + j] + gradient : gradient;
  }
}

// weightPartials, biasPartials: [ceil(rows / 32), hidden]; a block owns blockDim.x columns of 32 rows.
extern "C" __global__ void layerNormPartials(const float* x, const float* means,
                                             const float* inverseDeviations, const float* dy,
                                             float* weightPartials, float* biasPartials, int rows,
                                             int hidden) {
  const int columnBlocks = (hidden + blockDim.x - 1) / blockDim.x;
  const int column = blockIdx.x % columnBlocks * blockDim.x + threadIdx.x;
  const int chunk = blockIdx.x / columnBlocks;
  if (column >= hidden) return;
  const int end = min(rows, (chunk + 1) * ROWS_OF_PARTIAL);
  float weightSum = 0.f;
  float biasSum = 0.f;
  for (int row = chunk * ROWS_OF_PARTIAL; row < end; row++) {
    const Size at = static_cast<Size>(row) * hidden + column;
    weightSum += dy[at] * (x[at] - means[row]) * inverseDeviations[row];
    biasSum += dy[at];
  }
  const Size at = static_cast<Size>(chunk) * hidden + column;
  weightPartials[at] = weightSum;
  biasPartials[at] = biasSum;
}

// gradient += the sum of partials over their chunks, first to last.
extern "C" __global__ void addPartials(const float* partials, float* gradient, int chunks, int hidden) {
  const int column = blockIdx.x * blockDim.x + threadIdx.x;
  if (column >= hidden) return;
  float sum = 0.f;
  for (int chunk = 0; chunk < chunks; chunk++) sum += partials[static_cast<Size>(chunk) * hidden + column];
  gradient[column] += sum;
}
