// The sum over a block, in an order that depends on the number of threads alone.
#pragma once

constexpr int LARGEST_BLOCK = 256;
constexpr int WARP = 32;
constexpr unsigned ALL_LANES = 0xffffffffu;

// Every thread gets the sum. A warp adds its lanes as a tree; then each thread adds the warps, first to last.
// All threads of the block call it, at most once for each `partials`, a shared array that nothing else uses:
// so one barrier is enough. Blocks are whole warps.
__device__ inline float blockSum(float value, float (&partials)[LARGEST_BLOCK / WARP]) {
  for (int distance = WARP / 2; distance > 0; distance /= 2)
    value += __shfl_xor_sync(ALL_LANES, value, distance);
  if (threadIdx.x % WARP == 0) partials[threadIdx.x / WARP] = value;
  __syncthreads();
  float sum = 0.f;
  for (int warp = 0; warp < blockDim.x / WARP; warp++) sum += partials[warp];
  return sum;
}
