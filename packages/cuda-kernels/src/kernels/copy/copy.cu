// Computes: y = x, of any type of elements.
// Owners: a thread owns four consecutive elements; blocks cover the array.
// Cost: 8 bytes per element in float32, half in types of two bytes: bound by the bandwidth of memory.
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

#define QD_COPY(NAME, T) \
  extern "C" __global__ void NAME(const T* x, T* y, Size n) { copyRun(x, y, n); }
QD_FOR_ELEMENTS(QD_COPY, copy)
