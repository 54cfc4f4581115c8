// Computes: y = x · factor, with the factor in an array of one element.
// Owners: a thread owns four consecutive elements; blocks cover the array.
// Cost: 8 bytes per element and one product: bound by the bandwidth of memory. The factor is read by every
//   thread, from the first cache.
// Assumes: arrays of n elements (runOp checks); y may be the array of x. Any alignment.
// Dropped: nothing yet. Not measured on a device.
#include "elementwise.h"

extern "C" __global__ void scaleByF32(const float* x, const float* factor, float* y, Size n) {
  const Run run = runOfThread(n);
  const float scale = *factor;
  float values[4];
  loadRun(x, run, values);
  for (int i = 0; i < 4; i++) values[i] *= scale;
  storeRun(y, run, values);
}
