// Computes: y = a + b; add-into: sum += x, of any type of elements.
// Owners: a thread owns four consecutive elements; blocks cover the array.
// Cost: 12 bytes per element (add-into of two-byte elements: 6) and one sum: bound by the bandwidth of
//   memory.
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

#define QD_ADD_INTO(NAME, T) \
  extern "C" __global__ void NAME(const T* x, T* sum, Size n) { addInto(x, sum, n); }
QD_FOR_ELEMENTS(QD_ADD_INTO, addInto)
