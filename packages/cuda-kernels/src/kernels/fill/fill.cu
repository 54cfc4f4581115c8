// Computes: y = value.
// Owners: a thread owns four consecutive elements; blocks cover the array.
// Cost: 4 bytes per element: bound by the bandwidth of stores.
// Assumes: an array of n elements (runOp checks); any alignment.
// Dropped: nothing yet. Not measured on a device.
#include "elementwise.h"

extern "C" __global__ void fillF32(float* y, float value, Size n) {
  const float values[4] = {value, value, value, value};
  storeRun(y, runOfThread(n), values);
}
