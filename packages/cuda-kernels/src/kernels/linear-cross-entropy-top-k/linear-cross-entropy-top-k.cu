// Computes: of each row of capped logits the k first classes, by falling logit and then by rising id, their
//   log-probabilities z − largest − log(sum), and the probability of all other classes; 0 where the target is
//   ignored.
// Owners: a block owns a row, thread j the columns j, j + threads, … It holds the first of them that is not
//   taken yet, and looks for its next one after each that the block takes.
// Cost: reads a row three times and a thread's columns k times: about k · (vocabulary / 256) steps.
// Assumes: 1 ≤ k ≤ vocabulary (runOp checks) and blocks of whole warps (head-rows.ts).
// Dropped: selecting by the bits of a logit, which needs no steps one after another. Not measured on a
//   device.
#include "logit-rows.h"

namespace {

// The first of the thread's columns after `last`; id = vocabulary where there is none.
__device__ Candidate nextOfThread(const float* row, int vocabulary, const Candidate& last) {
  Candidate next = {__int_as_float(0x7fc00000), vocabulary};
  for (int c = threadIdx.x; c < vocabulary; c += blockDim.x) {
    const Candidate candidate = {row[c], c};
    if (last.isBefore(candidate) && candidate.isBefore(next)) next = candidate;
  }
  return next;
}

}  // namespace

extern "C" __global__ void topClasses(const float* logits, const float* states, const int* targets,
                                      int* topIds, float* topLogProbabilities, float* tailMass,
                                      int vocabulary, int k) {
  __shared__ Candidate partials[2][LARGEST_BLOCK / WARP];
  __shared__ float sums[LARGEST_BLOCK / WARP];
  const float* row = logits + static_cast<Size>(blockIdx.x) * vocabulary;
  const Size firstOutput = static_cast<Size>(blockIdx.x) * k;
  const RowState state = rowStateOf(states, blockIdx.x);
  const bool isIgnored = targets[blockIdx.x] == IGNORED_TARGET;
  const float logSum = logf(state.sum);
  Candidate last = {__int_as_float(0x7f800000), -1};  // before all others
  Candidate own = nextOfThread(row, vocabulary, last);
  for (int i = 0; i < k; i++) {
    last = firstOfBlock(own, partials[i % 2]);
    if (own.id == last.id) own = nextOfThread(row, vocabulary, last);
    if (threadIdx.x != 0) continue;
    topIds[firstOutput + i] = isIgnored ? 0 : last.id;
    topLogProbabilities[firstOutput + i] = isIgnored ? 0.f : last.logit - state.largest - logSum;
  }
  float sum = 0.f;
  for (int c = threadIdx.x; c < vocabulary; c += blockDim.x)
    if (last.isBefore({row[c], c})) sum += expf(row[c] - state.largest);
  const float mass = blockSum(sum, sums) / state.sum;
  if (threadIdx.x == 0) tailMass[blockIdx.x] = isIgnored ? 0.f : mass;
}
