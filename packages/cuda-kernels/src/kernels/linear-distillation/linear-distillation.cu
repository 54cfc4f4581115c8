// Computes: of rows of capped logits, with q = softmax(z) and λ = `distillation`: token losses (1 − λ) ·
//   crossEntropy + λ · KL(p ‖ q), with the k classes of p and the tail of all others as one more class; then,
//   in place of the logits, factor · (q − λ·p − (1 − λ)·onehot) · (slope of the cap), where the classes of
//   the tail share p of the tail in proportion to q.
// Owners: a block owns a row, thread j the columns j, j + threads, … and the classes of p likewise. The k
//   logits are moved to `topLogits`, and their columns are marked, so that the tail is a sum of its own.
// Cost: reads a row twice and writes it once: bound by the bandwidth of the second cache or of memory.
// Assumes: states and cross-entropies of linear-cross-entropy.cu, ids that differ in each row (runOp), blocks
//   of whole warps. An id that is no class ends the kernel with a trap.
// Dropped: the tail as 1 − Σ q, which loses all digits of a small tail. Not measured on a device.
#include "logit-rows.h"

namespace {

constexpr float MARK = -3.4028235e38f;  // below every logit: e^(MARK − largest) = 0

struct Row {
  float* logits;
  float* topLogits;
  const int* ids;
  const float* logP;
  RowState state;
  int target;
  int vocabulary;
  int k;
  float softCap;
};

__device__ void moveTopLogits(const Row& row) {
  for (int i = threadIdx.x; i < row.k; i += blockDim.x) {
    const int id = row.ids[i];
    if (id < 0 || id >= row.vocabulary) __trap();
    row.topLogits[i] = row.logits[id];
    row.logits[id] = MARK;
  }
}

__device__ float tailSum(const Row& row) {
  float sum = 0.f;
  for (int c = threadIdx.x; c < row.vocabulary; c += blockDim.x) {
    const float z = row.logits[c];
    if (z != MARK) sum += expf(z - row.state.largest);
  }
  return sum;
}

// Σ p · (log p − log q) over the classes of p
__device__ float topDivergence(const Row& row) {
  const float logSum = row.state.largest + logf(row.state.sum);
  float sum = 0.f;
  for (int i = threadIdx.x; i < row.k; i += blockDim.x) {
    const float p = expf(row.logP[i]);
    if (p > 0.f) sum += p * (row.logP[i] - (row.topLogits[i] - logSum));
  }
  return sum;
}

__device__ float gradientOf(const Row& row, float z, int c, float factor, float distillation, float p) {
  const float q = expf(z - row.state.largest) / row.state.sum;
  const float onehot = c == row.target ? 1.f - distillation : 0.f;
  return factor * (q - distillation * p - onehot) * capSlope(z, row.softCap);
}

// `tailShare`: p of the tail / q of the tail
__device__ void storeGradients(const Row& row, float factor, float distillation, float tailShare) {
  for (int c = threadIdx.x; c < row.vocabulary; c += blockDim.x) {
    const float z = row.logits[c];
    if (z == MARK) continue;
    const float q = expf(z - row.state.largest) / row.state.sum;
    row.logits[c] = factor == 0.f ? 0.f : gradientOf(row, z, c, factor, distillation, tailShare * q);
  }
  __syncthreads();
  for (int i = threadIdx.x; i < row.k; i += blockDim.x) {
    const float gradient =
        gradientOf(row, row.topLogits[i], row.ids[i], factor, distillation, expf(row.logP[i]));
    row.logits[row.ids[i]] = factor == 0.f ? 0.f : gradient;
  }
}

}  // namespace

extern "C" __global__ void distillRows(float* logits, float* topLogits, const float* states,
                                       const int* targets, const float* tokenWeights, int hasWeights,
                                       const int* topIds, const float* topLogProbabilities,
                                       const float* tailMass, float* tokenLosses, int vocabulary, int k,
                                       float softCap, float lossScale, float distillation,
                                       int wantsGradient) {
  __shared__ float tails[LARGEST_BLOCK / WARP], divergences[LARGEST_BLOCK / WARP];
  const Size top = static_cast<Size>(blockIdx.x) * k;
  const Row row = {logits + static_cast<Size>(blockIdx.x) * vocabulary,
                   topLogits + top,
                   topIds + top,
                   topLogProbabilities + top,
                   rowStateOf(states, blockIdx.x),
                   targets[blockIdx.x],
                   vocabulary,
                   k,
                   softCap};
  const bool isIgnored = row.target == IGNORED_TARGET;
  if (!isIgnored) moveTopLogits(row);
  __syncthreads();
  const float qTail = blockSum(tailSum(row), tails) / row.state.sum;
  const float pTail = k < vocabulary && !isIgnored ? tailMass[blockIdx.x] : 0.f;
  const float ofTop = blockSum(isIgnored ? 0.f : topDivergence(row), divergences);
  if (threadIdx.x == 0 && !isIgnored) {
    const float divergence = ofTop + (pTail > 0.f ? pTail * logf(pTail / qTail) : 0.f);
    tokenLosses[blockIdx.x] = (1.f - distillation) * tokenLosses[blockIdx.x] + distillation * divergence;
  }
  if (!wantsGradient) return;
  const float weight = hasWeights ? tokenWeights[blockIdx.x] : 1.f;
  if (isIgnored) {
    for (int c = threadIdx.x; c < vocabulary; c += blockDim.x) row.logits[c] = 0.f;
  } else {
    storeGradients(row, lossScale * weight, distillation, pTail > 0.f ? pTail / qTail : 0.f);
  }
}
