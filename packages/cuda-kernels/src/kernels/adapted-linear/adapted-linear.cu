// Computes: of rows `begin` … of x [tokens, r], y[t, j] = factor · x[t, from + j] where from + j is in
//   low … high − 1, else 0: the scaled u and g of an adapter, with each part of the rows at a rank of its
//   own. The products are those of linear.cu.
// Owners: a thread owns one element of y.
// Cost: 8 bytes per element of [tokens, r]: a small part of the products around it.
// Assumes: contiguous arrays (adapted-linear.ts). y may be the array of x where the widths are equal.
// Dropped: nothing yet. Not measured on a device.
#include "element.h"

extern "C" __global__ void scaleRanks(const float* x, float* y, Size begin, Size n, int r, int width,
                                      int from, int low, int high, float factor) {
  const Size i = static_cast<Size>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const Size row = begin + i / width;
  const int column = static_cast<int>(i % width);
  const int rank = from + column;
  y[row * width + column] = rank >= low && rank < high ? factor * x[row * r + rank] : 0.f;
}
