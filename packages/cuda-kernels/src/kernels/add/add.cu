// Computes: y = a + b; add-into: sum += x, of float32 or of bfloat16.
// Owners: a thread owns four consecutive elements; blocks cover the array.
// Cost: 12 bytes per element (add-into in bfloat16: 6) and one sum: bound by the bandwidth of memory.
// Assumes: arrays of n elements (runOp checks); y may be the array of a or of b, since a thread reads its
//   elements before it writes them. Any alignment: arrays that do not begin at 16 bytes go element by
//   element.
// Dropped: nothing yet. Not measured on a device.
#include "elementwise.h"

extern "C" __global__ void addF32(const float* a, const float* b, float* y, Size n) {
  const Run run = runOfThread(n);
  float left[4], right[4], sums[4];
  loadRun(a, run, left);
  loadRun(b, run, right);
  for (int i = 0; i < 4; i++) sums[i] = left[i] + right[i];
  storeRun(y, run, sums);
}

template <class T>
__device__ void addInto(const T* x, T* sum, Size n) {
  const Run run = runOfThread(n);
  float values[4], sums[4];
  loadRun(x, run, values);
  loadRun(sum, run, sums);
  for (int i = 0; i < 4; i++) sums[i] += values[i];
  storeRun(sum, run, sums);
}

extern "C" __global__ void addIntoF32(const float* x, float* sum, Size n) { addInto(x, sum, n); }
extern "C" __global__ void addIntoBf16(const BFloat16* x, BFloat16* sum, Size n) { addInto(x, sum, n); }
