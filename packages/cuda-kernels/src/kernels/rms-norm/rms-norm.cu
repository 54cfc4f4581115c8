// Computes: y = x · r · w with r = 1 / √(mean(x²) + ε), w = weight + offset; residual-norm: the same of
//   sum = a + b. Backward: dx = r·w·dy − r³·c·x with c = Σ dy·w·x / hidden; dWeight += Σ dy·x·r.
// Owners: a block owns one row, thread j the columns j, j + threads, …; for dWeight a thread owns one column
//   of 32 rows and then one column of all blocks of rows, added in their order: no atomics.
// Cost: forward 8 bytes per element (residual-norm 16), backward 12 (16 where dx is added to), dWeight 8:
//   bound by the bandwidth of memory. Rows are read again from the second cache.
// Assumes: contiguous rows of `hidden` ≥ 1 elements (runOp checks) and blocks of whole warps (rms-norm.ts).
// Dropped: a second barrier in the sum: each block sums once. Not measured on a device.
#include "block-sum.h"
#include "element.h"

namespace {

constexpr int ROWS_OF_PARTIAL = 32;  // as PARTIAL_ROWS in rms-norm.ts

template <class T>
__device__ void normalizeRow(const float* x, const float* weight, T* y, float* inverseRms, int hidden,
                             float epsilon, float weightOffset) {
  __shared__ float partials[LARGEST_BLOCK / WARP];
  float squares = 0.f;
  for (int j = threadIdx.x; j < hidden; j += blockDim.x) squares += x[j] * x[j];
  const float inverse = 1.f / sqrtf(blockSum(squares, partials) / static_cast<float>(hidden) + epsilon);
  if (threadIdx.x == 0) *inverseRms = inverse;
  for (int j = threadIdx.x; j < hidden; j += blockDim.x)
    put(y[j], x[j] * inverse * (weight[j] + weightOffset));
}

template <class T>
__device__ void rmsNorm(const float* x, const float* weight, T* y, float* inverseRms, int hidden,
                        float epsilon, float weightOffset) {
  const Size row = static_cast<Size>(blockIdx.x) * hidden;
  normalizeRow(x + row, weight, y + row, inverseRms + blockIdx.x, hidden, epsilon, weightOffset);
}

template <class T>
__device__ void residualNorm(const float* a, const float* b, const float* weight, float* sum, T* y,
                             float* inverseRms, int hidden, float epsilon, float weightOffset) {
  const Size row = static_cast<Size>(blockIdx.x) * hidden;
  // A thread reads and writes the columns that it reads again below, so sum may be the array of a or b.
  for (int j = threadIdx.x; j < hidden; j += blockDim.x) sum[row + j] = a[row + j] + b[row + j];
  normalizeRow(sum + row, weight, y + row, inverseRms + blockIdx.x, hidden, epsilon, weightOffset);
}

template <class T>
__device__ void rmsNormBackward(const float* x, const float* weight, const float* inverseRms, const T* dy,
                                float* dx, int hidden, float weightOffset, int accumulate) {
  __shared__ float partials[LARGEST_BLOCK / WARP];
  const Size row = static_cast<Size>(blockIdx.x) * hidden;
  float products = 0.f;
  for (int j = threadIdx.x; j < hidden; j += blockDim.x)
    products += toFloat(dy[row + j]) * (weight[j] + weightOffset) * x[row + j];
  const float r = inverseRms[blockIdx.x];
  const float factor = r * r * r * (blockSum(products, partials) / static_cast<float>(hidden));
  for (int j = threadIdx.x; j < hidden; j += blockDim.x) {
    const float gradient = r * (weight[j] + weightOffset) * toFloat(dy[row + j]) - factor * x[row + j];
    dx[row + j] = accumulate ? dx[row + j] + gradient : gradient;
  }
}

// partials: [ceil(rows / 32), hidden]; a block owns blockDim.x columns of 32 rows.
template <class T>
__device__ void weightGradientPartials(const float* x, const float* inverseRms, const T* dy, float* partials,
                                       Size rows, int hidden) {
  const int columnBlocks = (hidden + blockDim.x - 1) / blockDim.x;
  const int column = blockIdx.x % columnBlocks * blockDim.x + threadIdx.x;
  const Size chunk = blockIdx.x / columnBlocks;
  if (column >= hidden) return;
  const Size end = rows < (chunk + 1) * ROWS_OF_PARTIAL ? rows : (chunk + 1) * ROWS_OF_PARTIAL;
  float sum = 0.f;
  for (Size row = chunk * ROWS_OF_PARTIAL; row < end; row++)
    sum += toFloat(dy[row * hidden + column]) * x[row * hidden + column] * inverseRms[row];
  partials[chunk * hidden + column] = sum;
}

}  // namespace

#define QD_RMS_NORM(NAME, T)                                                                                \
  extern "C" __global__ void NAME(const float* x, const float* weight, T* y, float* inverseRms, int hidden, \
                                  float epsilon, float weightOffset) {                                      \
    rmsNorm(x, weight, y, inverseRms, hidden, epsilon, weightOffset);                                       \
  }
QD_FOR_ELEMENTS(QD_RMS_NORM, rmsNorm)

#define QD_RESIDUAL_NORM(NAME, T)                                                                        \
  extern "C" __global__ void NAME(const float* a, const float* b, const float* weight, float* sum, T* y, \
                                  float* inverseRms, int hidden, float epsilon, float weightOffset) {    \
    residualNorm(a, b, weight, sum, y, inverseRms, hidden, epsilon, weightOffset);                       \
  }
QD_FOR_ELEMENTS(QD_RESIDUAL_NORM, residualNorm)

#define QD_RMS_NORM_BACKWARD(NAME, T)                                                                        \
  extern "C" __global__ void NAME(const float* x, const float* weight, const float* inverseRms, const T* dy, \
                                  float* dx, int hidden, float weightOffset, int accumulate) {               \
    rmsNormBackward(x, weight, inverseRms, dy, dx, hidden, weightOffset, accumulate);                        \
  }
QD_FOR_ELEMENTS(QD_RMS_NORM_BACKWARD, rmsNormBackward)

#define QD_WEIGHT_GRADIENT_PARTIALS(NAME, T)                                                             \
  extern "C" __global__ void NAME(const float* x, const float* inverseRms, const T* dy, float* partials, \
                                  Size rows, int hidden) {                                               \
    weightGradientPartials(x, inverseRms, dy, partials, rows, hidden);                                   \
  }
QD_FOR_ELEMENTS(QD_WEIGHT_GRADIENT_PARTIALS, weightGradientPartials)

// dWeight += the sum of partials over their chunks, first to last.
extern "C" __global__ void addWeightGradient(const float* partials, float* dWeight, int chunks, int hidden) {
  const int column = blockIdx.x * blockDim.x + threadIdx.x;
  if (column >= hidden) return;
  float sum = 0.f;
  for (int chunk = 0; chunk < chunks; chunk++) sum += partials[static_cast<Size>(chunk) * hidden + column];
  dWeight[column] += sum;
}
