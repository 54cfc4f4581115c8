// Computes: lion-step with m in 8 bits: a block of up to 256 numbers is decoded, updated, and encoded with
//   its new absmax. rates = [lr, keep, s].
// Owners: a block of 256 threads owns a block of numbers, a thread one of them; the map is in shared memory.
// Cost: 14 bytes per element, and 8 reads of shared memory for the code: bound by the bandwidth of memory.
// Assumes: a map of 256 rising levels (runOp checks its size).
// Dropped: nothing yet. Not measured on a device.
#include "lion.h"
#include "state-codes.h"

extern "C" __global__ void __launch_bounds__(STATE_BLOCK)
    lion8bitStep(const float* gradient, const float* rates, const float* mMap, float* parameter,
                 unsigned char* mCodes, float* mAbsmax, int columns, float beta1, float rest1, float beta2,
                 float rest2) {
  __shared__ SharedState m;
  m.map[threadIdx.x] = mMap[threadIdx.x];
  __syncthreads();
  const StateBlock block = stateBlockOf(blockIdx.x, columns);
  const Size i = block.from + threadIdx.x;
  float moment = 0.f;
  if (threadIdx.x < block.count) {
    const LionRule rule = {rates[0], rates[1], rates[2], beta1, rest1, beta2, rest2};
    float weight = parameter[i];
    moment = m.map[mCodes[i]] * mAbsmax[block.block];
    rule.update(weight, moment, gradient[i]);
    parameter[i] = weight;
  }
  encodeState(m, block, moment, mCodes, mAbsmax, 0);
}
