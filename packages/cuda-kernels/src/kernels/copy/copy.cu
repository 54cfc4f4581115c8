// Computes: y = x, of float32 or of bfloat16.
// Owners: a thread owns four consecutive elements; blocks cover the array.
// Cost: 8 bytes per element in float32, 4 in bfloat16: bound by the bandwidth of memory.
// Assumes: arrays of n elements that do not overlap (runOp checks); any alignment.
// Dropped: nothing yet. A copy between equal dtypes could be one cuMemcpyDtoDAsync; a kernel keeps the choice
//   of the stream and of graphs in one place. Not measured on a device.
#include "elementwise.h"

template <class T>
__device__ void copyRun(const T* x, T* y, Size n) {
  const Run run = runOfThread(n);
  float values[4];
  loadRun(x, run, values);
  storeRun(y, run, values);
}

extern "C" __global__ void copyF32(const float* x, float* y, Size n) { copyRun(x, y, n); }
extern "C" __global__ void copyBf16(const BFloat16* x, BFloat16* y, Size n) { copyRun(x, y, n); }
