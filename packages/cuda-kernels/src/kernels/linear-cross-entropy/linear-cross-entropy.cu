// Computes: of rows of logits, capped in place: states = (largest, Σ e^(z − largest)) and token losses
//   log(sum) + largest − z[target]; then, in place of the logits, the gradient factor · (softmax − onehot) ·
//   (slope of the cap), 0 where the target is ignored; loss = lossScale · Σ tokenWeights · tokenLosses.
// Owners: a block owns a row, thread j the columns j, j + threads, …; one block owns the loss.
// Cost: 4 bytes per logit for the state (8 with a cap) and 8 for the gradient, of a chunk of rows that a
//   product has just written: bound by the bandwidth of the second cache or of memory.
// Assumes: rows of `vocabulary` ≥ 1 logits and blocks of whole warps (head-rows.ts). A target that is no
//   class ends the kernel with a trap.
// Dropped: the softmax in the epilogue of the product, which would save the logits; leaving out the rows of
//   ignored targets. Not measured on a device.
#include "logit-rows.h"

// A thread's sum is corrected where its largest logit moves.
extern "C" __global__ void rowStates(float* logits, const int* targets, float* states, float* tokenLosses,
                                     int vocabulary, float softCap) {
  __shared__ float maxima[LARGEST_BLOCK / WARP], sums[LARGEST_BLOCK / WARP];
  float* row = logits + static_cast<Size>(blockIdx.x) * vocabulary;
  constexpr float LEAST = -3.4028235e38f;
  float largest = LEAST;
  float sum = 0.f;
  for (int c = threadIdx.x; c < vocabulary; c += blockDim.x) {
    float z = row[c];
    if (softCap > 0.f) row[c] = z = softCap * tanhf(z / softCap);
    if (z > largest) {
      sum *= expf(largest - z);
      largest = z;
    }
    sum += expf(z - largest);
  }
  const float most = blockMax(largest, maxima);
  const float total = blockSum(sum * expf(largest - most), sums);
  if (threadIdx.x == 0) {
    states[2 * blockIdx.x] = most;
    states[2 * blockIdx.x + 1] = total;
  }
  const int target = targets[blockIdx.x];
  if (target == IGNORED_TARGET) {
    if (threadIdx.x == 0) tokenLosses[blockIdx.x] = 0.f;
  } else if (target < 0 || target >= vocabulary) {
    __trap();
  } else if (threadIdx.x == target % blockDim.x) {
    tokenLosses[blockIdx.x] = most + logf(total) - row[target];
  }
}

extern "C" __global__ void logitGradients(float* logits, const float* states, const int* targets,
                                          const float* tokenWeights, int hasWeights, int vocabulary,
                                          float softCap, float lossScale) {
  float* row = logits + static_cast<Size>(blockIdx.x) * vocabulary;
  const RowState state = rowStateOf(states, blockIdx.x);
  const int target = targets[blockIdx.x];
  const float weight = hasWeights ? tokenWeights[blockIdx.x] : 1.f;
  const float factor = target == IGNORED_TARGET ? 0.f : lossScale * weight;
  for (int c = threadIdx.x; c < vocabulary; c += blockDim.x) {
    const float z = row[c];
    const float q = expf(z - state.largest) / state.sum;
    row[c] = factor == 0.f ? 0.f : factor * (q - (c == target ? 1.f : 0.f)) * capSlope(z, softCap);
  }
}

extern "C" __global__ void sumLosses(const float* tokenLosses, const float* tokenWeights, int hasWeights,
                                     float* loss, int tokens, float lossScale) {
  __shared__ float sums[LARGEST_BLOCK / WARP];
  float sum = 0.f;
  for (int t = threadIdx.x; t < tokens; t += blockDim.x)
    sum += lossScale * (hasWeights ? tokenWeights[t] : 1.f) * tokenLosses[t];
  const float total = blockSum(sum, sums);
  if (threadIdx.x == 0) *loss = total;
}
