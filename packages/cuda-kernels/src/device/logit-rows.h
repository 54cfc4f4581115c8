// Rows of logits: [rows, vocabulary], a block for each row, thread j the columns j, j + threads, …
#pragma once
#include "block-sum.h"
#include "element.h"

constexpr int IGNORED_TARGET = -100;

// Of a row: softmax(z)[c] = e^(z[c] − largest) / sum.
struct RowState {
  float largest;
  float sum;
};

__device__ inline RowState rowStateOf(const float* states, int row) {
  return {states[2 * row], states[2 * row + 1]};
}

// The derivative of the capped logit z.
__device__ inline float capSlope(float z, float softCap) {
  const float ratio = softCap > 0.f ? z / softCap : 0.f;
  return 1.f - ratio * ratio;
}

// A class and its logit. They are in order by falling logit, then by rising id; NaN comes last.
struct Candidate {
  float logit;
  int id;

  __device__ bool isBefore(const Candidate& other) const {
    if (logit == other.logit) return id < other.id;
    if (isnan(logit)) return isnan(other.logit) && id < other.id;
    return isnan(other.logit) || logit > other.logit;
  }
};

// The first candidate of all threads. Called in turn with two `partials`, one barrier each is enough.
__device__ inline Candidate firstOfBlock(Candidate candidate, Candidate (&partials)[LARGEST_BLOCK / WARP]) {
  for (int distance = WARP / 2; distance > 0; distance /= 2) {
    const Candidate other = {__shfl_xor_sync(ALL_LANES, candidate.logit, distance),
                             __shfl_xor_sync(ALL_LANES, candidate.id, distance)};
    if (other.isBefore(candidate)) candidate = other;
  }
  if (threadIdx.x % WARP == 0) partials[threadIdx.x / WARP] = candidate;
  __syncthreads();
  Candidate first = partials[0];
  for (int warp = 1; warp < blockDim.x / WARP; warp++)
    if (partials[warp].isBefore(first)) first = partials[warp];
  return first;
}
