// Sums and maxima over a block, in an order that depends on the number of threads alone.
#pragma once

constexpr int LARGEST_BLOCK = 256;
constexpr int WARP = 32;
constexpr unsigned ALL_LANES = 0xffffffffu;

// Every thread gets the sum. A warp adds its lanes as a tree; then each thread adds the warps, first to last.
// All threads of the block call it, at most once for each `partials`, a shared array that nothing else uses:
// so one barrier is enough. Blocks are whole warps.
template <class T>
__device__ inline T blockSum(T value, T (&partials)[LARGEST_BLOCK / WARP]) {
  for (int distance = WARP / 2; distance > 0; distance /= 2)
    value += __shfl_xor_sync(ALL_LANES, value, distance);
  if (threadIdx.x % WARP == 0) partials[threadIdx.x / WARP] = value;
  __syncthreads();
  T sum = 0;
  for (int warp = 0; warp < blockDim.x / WARP; warp++) sum += partials[warp];
  return sum;
}

// The largest of all values, in the same way. NaN is left out.
template <class T>
__device__ inline T blockMax(T value, T (&partials)[LARGEST_BLOCK / WARP]) {
  for (int distance = WARP / 2; distance > 0; distance /= 2)
    value = max(value, __shfl_xor_sync(ALL_LANES, value, distance));
  if (threadIdx.x % WARP == 0) partials[threadIdx.x / WARP] = value;
  __syncthreads();
  T most = partials[0];
  for (int warp = 1; warp < blockDim.x / WARP; warp++) most = max(most, partials[warp]);
  return most;
}

// The bits of |value|. They rise with it, and those of infinity and NaN are the largest.
__device__ inline unsigned magnitudeBits(float value) { return __float_as_uint(value) & 0x7fffffffu; }
constexpr unsigned INFINITY_BITS = 0x7f800000u;
