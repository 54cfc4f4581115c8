// Computes: split: part i of every group of a row of x goes to output i, group after group; join: the
//   inverse, with zeros for a part that is missing.
// Owners: a thread owns one element of x; consecutive threads touch consecutive elements of a part.
// Cost: 8 bytes per element: bound by the bandwidth of memory.
// Assumes: x of n elements in groups of `width` = the sum of two or three widths (split-columns.ts).
// Dropped: nothing yet. Not measured on a device.
#include "element.h"

namespace {

struct Place {
  int part;
  Size at;
};

__device__ Place placeOf(Size i, int width, int first, int second) {
  const Size group = i / width;
  const int column = static_cast<int>(i % width);
  if (column < first) return {0, group * first + column};
  if (column < first + second) return {1, group * second + column - first};
  return {2, group * (width - first - second) + column - first - second};
}

}  // namespace

extern "C" __global__ void splitColumns(const float* x, float* firstPart, float* secondPart, float* thirdPart,
                                        Size n, int width, int first, int second) {
  const Size i = static_cast<Size>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const Place place = placeOf(i, width, first, second);
  float* part = place.part == 0 ? firstPart : place.part == 1 ? secondPart : thirdPart;
  part[place.at] = x[i];
}

// Bit p of `present`: part p is given.
extern "C" __global__ void joinColumns(const float* firstPart, const float* secondPart,
                                       const float* thirdPart, float* x, Size n, int width, int first,
                                       int second, int present) {
  const Size i = static_cast<Size>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const Place place = placeOf(i, width, first, second);
  const float* part = place.part == 0 ? firstPart : place.part == 1 ? secondPart : thirdPart;
  x[i] = present >> place.part & 1 ? part[place.at] : 0.f;
}
