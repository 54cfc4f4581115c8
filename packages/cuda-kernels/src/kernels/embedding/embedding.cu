// Computes: y[t] = weight[ids[t]], widened; backward dWeight[ids[t]] += dy[t], in token order.
// Owners: forward: a block owns a token. Backward: a thread owns one column of the whole table and adds the
//   tokens one after another, so that the order is that of the reference.
// Cost: forward 8 bytes per element (6 from two bytes), backward 12, of which the sums of one column are a
//   chain: bound by the latency of memory. Only full training has a backward here.
// Assumes: contiguous arrays (runOp checks). An id outside the table ends the kernel with a trap.
// Dropped: tokens in parallel where their ids differ. Not measured on a device.
#include "element.h"

namespace {

__device__ Size checkedRow(int id, int rows) {
  if (id < 0 || id >= rows) __trap();
  return static_cast<Size>(id);
}

template <class T>
__device__ void embedding(const T* weight, const int* ids, float* y, int rows, int hidden) {
  const Size from = checkedRow(ids[blockIdx.x], rows) * hidden;
  const Size to = static_cast<Size>(blockIdx.x) * hidden;
  for (int j = threadIdx.x; j < hidden; j += blockDim.x) y[to + j] = toFloat(weight[from + j]);
}

}  // namespace

#define QD_EMBEDDING(NAME, T)                                                                        \
  extern "C" __global__ void NAME(const T* weight, const int* ids, float* y, int rows, int hidden) { \
    embedding(weight, ids, y, rows, hidden);                                                         \
  }
QD_FOR_ELEMENTS(QD_EMBEDDING, embedding)

extern "C" __global__ void embeddingBackward(const int* ids, const float* dy, float* dWeight, int tokens,
                                             int rows, int hidden) {
  const int column = blockIdx.x * blockDim.x + threadIdx.x;
  if (column >= hidden) return;
  for (int token = 0; token < tokens; token++)
    dWeight[checkedRow(ids[token], rows) * hidden + column] += dy[static_cast<Size>(token) * hidden + column];
}
