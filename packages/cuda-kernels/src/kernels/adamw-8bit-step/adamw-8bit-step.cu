// Computes: adamw-step with m and v in 8 bits: a block of up to 256 numbers is decoded, updated, and encoded
//   with its new absmax. p ← keep·p − stepSize·m / (√v + ε); rates = [stepSize, ε, keep, s].
// Owners: a block of 256 threads owns a block of numbers, a thread one of them; both maps are in shared
//   memory.
// Cost: 16 bytes per element, and 16 reads of shared memory for the two codes: bound by the latter.
// Assumes: maps of 256 rising levels, gradients with finite squares (the caller ensures it).
// Dropped: limits in shared memory: a middle is one sum in float64. Not measured on a device.
#include "state-codes.h"

extern "C" __global__ void __launch_bounds__(STATE_BLOCK)
    adamw8bitStep(const float* gradient, const float* rates, const float* mMap, const float* vMap,
                  float* parameter, unsigned char* mCodes, float* mAbsmax, unsigned char* vCodes,
                  float* vAbsmax, int columns, float beta1, float rest1, float beta2, float rest2) {
  __shared__ SharedState m, v;
  m.map[threadIdx.x] = mMap[threadIdx.x];
  v.map[threadIdx.x] = vMap[threadIdx.x];
  __syncthreads();
  const StateBlock block = stateBlockOf(blockIdx.x, columns);
  const Size i = block.from + threadIdx.x;
  float first = 0.f;
  float second = 0.f;
  if (threadIdx.x < block.count) {
    const float g = gradient[i] * rates[3];
    first = beta1 * (m.map[mCodes[i]] * mAbsmax[block.block]) + rest1 * g;
    second = beta2 * (v.map[vCodes[i]] * vAbsmax[block.block]) + rest2 * g * g;
    parameter[i] = parameter[i] * rates[2] - rates[0] * first / (sqrtf(second) + rates[1]);
  }
  encodeState(m, block, first, mCodes, mAbsmax, 0);
  encodeState(v, block, second, vCodes, vAbsmax, 1);
}
