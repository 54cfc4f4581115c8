// Computes: y[end − tokens + i] = x[i], with `end` the last entry of `segments`; the other rows of y stay.
// Owners: a thread owns four consecutive elements of x.
// Cost: 8 bytes per element: one launch of a few microseconds for a token.
// Assumes: contiguous arrays (runOp checks). Rows outside y end the kernel with a trap. Any alignment.
// Dropped: nothing yet. Not measured on a device.
#include "elementwise.h"

extern "C" __global__ void appendRows(const float* x, const int* segments, float* y, Size n, int segmentCount,
                                      int tokens, int rows, int width) {
  const Run run = runOfThread(n);
  if (run.count == 0) return;
  const int end = segments[segmentCount - 1];
  if (end < tokens || end > rows) __trap();
  float values[4];
  loadRun(x, run, values);
  float* target = y + static_cast<Size>(end - tokens) * width;
  storeRun(target, run, values);
}
