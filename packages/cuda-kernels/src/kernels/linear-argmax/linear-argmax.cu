// Computes: of each row of products the column of the greatest one, the first of equals, and its value; NaN
//   is never the greatest.
// Owners: a block owns a row, thread j the columns j, j + threads, …
// Cost: 4 bytes per product, of a product that reads the whole weight: bound by that.
// Assumes: rows of at least one product (runOp checks) and blocks of whole warps (linear-argmax.ts).
// Dropped: ruling rows out by the 8-bit codes, which halves the bytes of a bfloat16 head. Not measured on a
//   device.
#include "logit-rows.h"

extern "C" __global__ void firstOfRows(const float* products, int* ids, float* logits, int columns) {
  __shared__ Candidate partials[LARGEST_BLOCK / WARP];
  const float* row = products + static_cast<Size>(blockIdx.x) * columns;
  Candidate own = {__int_as_float(0x7fc00000), columns};
  for (int c = threadIdx.x; c < columns; c += blockDim.x) {
    const Candidate candidate = {row[c], c};
    if (candidate.isBefore(own)) own = candidate;
  }
  const Candidate first = firstOfBlock(own, partials);
  if (threadIdx.x != 0) return;
  ids[blockIdx.x] = first.id;
  logits[blockIdx.x] = first.logit;
}
