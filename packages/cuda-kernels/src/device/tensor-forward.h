// causal-attention by tensor cores.
#pragma once
#include "attention-forward.h"
#include "attention-tensor.h"

// The softmax of a thread's two rows, corrected from tile to tile.
template <class Shape>
struct TensorSoftmax {
  float largest[2] = {NOTHING, NOTHING};
  float total[2] = {0.f, 0.f};
  Rows<Shape> sums = {};

  // Scores to weights; scores are NOTHING where a key is not seen.
  __device__ void weigh(Scores<Shape>& scores) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      float most = largest[r];
#pragma unroll
      for (int j = 0; j < Shape::SCORE_TILES; j++)
        most = fmaxf(most, fmaxf(scores.at[j][2 * r], scores.at[j][2 * r + 1]));
      most = maxOfRow(most);
      float sum = 0.f;
#pragma unroll
      for (int j = 0; j < Shape::SCORE_TILES; j++)
#pragma unroll
        for (int e = 2 * r; e < 2 * r + 2; e++) {
          scores.at[j][e] = scores.at[j][e] == NOTHING ? 0.f : expf(scores.at[j][e] - most);
          sum += scores.at[j][e];
        }
      const float correction = most == largest[r] ? 1.f : expf(largest[r] - most);
      total[r] = total[r] * correction + sumOfRow(sum);
      largest[r] = most;
#pragma unroll
      for (int n = 0; n < Shape::DIM_TILES; n++) {
        sums.at[n][2 * r] *= correction;
        sums.at[n][2 * r + 1] *= correction;
      }
    }
  }
};

template <class Shape>
__device__ void storeTensorRows(const AttentionCall& call, const AttentionTarget& target,
                                const TensorSoftmax<Shape>& softmax, const OwnTile& tile) {
#pragma unroll
  for (int r = 0; r < 2; r++) {
    const int query = tile.begin + tensorRow(2 * r);
    if (query >= call.queries) continue;
    const RowTarget row(call, target, tile, query, softmax.largest[r], softmax.total[r]);
    if (isFirstOfRow()) row.putState();
#pragma unroll
    for (int n = 0; n < Shape::DIM_TILES; n++)
#pragma unroll
      for (int e = 0; e < 2; e++) {
        const int d = tensorColumn(n, e);
        if (d < call.dim) row.putSum(d, softmax.sums.at[n][2 * r + e]);
      }
  }
}

template <class Shape>
__device__ void attendByTensorCores(const AttentionCall& call, const AttentionTarget& target,
                                    const OwnTile& tile) {
  __shared__ alignas(16) typename Shape::Operand queries[Shape::OWN_ROWS][Shape::STRIDE];
  __shared__ alignas(16) typename Shape::Operand keys[Shape::PARTNER_ROWS][Shape::STRIDE];
  __shared__ alignas(16) typename Shape::Operand values[Shape::PARTNER_ROWS][Shape::STRIDE];
  __shared__ Visible visible[Shape::OWN_ROWS];
  const auto [chunk, head, begin] = tile;
  const int kvHead = head / (call.heads / call.kvHeads);
  loadTile<Shape>(queries, call, call.q, call.heads, head, begin, call.queries);
  if (threadIdx.x < Shape::OWN_ROWS) visible[threadIdx.x] = keysOf(call, begin + threadIdx.x);
  __syncthreads();
  const Visible any = seenByAny(visible);
  const int first = max(any.first, chunk * target.chunkKeys);
  const int end = min(any.last + 1, (chunk + 1) * target.chunkKeys);
  const Visible own[2] = {visible[tensorRow(0)], visible[tensorRow(2)]};
  TensorSoftmax<Shape> softmax;
  for (int key = first; key < end; key += Shape::PARTNER_ROWS) {
    loadTile<Shape>(keys, call, call.k, call.kvHeads, kvHead, key, end);
    loadTile<Shape>(values, call, call.v, call.kvHeads, kvHead, key, end);
    commitCopies();
    waitForCopies<0>();
    __syncthreads();
    Scores<Shape> scores = multiplyRows<Shape>(queries, keys);
#pragma unroll
    for (int j = 0; j < Shape::SCORE_TILES; j++)
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const int partner = key + tensorColumn(j, e);
        const int query = begin + tensorRow(e);
        const float score = scoreOf(call, scores.at[j][e], head, query, partner, own[e / 2].shift).value;
        scores.at[j][e] = partner < end && sees(own[e / 2], partner) ? score : NOTHING;
      }
    softmax.weigh(scores);
    addWeighted<Shape>(softmax.sums, scores, values);
    __syncthreads();
  }
  commitCopies();
  waitForCopies<0>();
  storeTensorRows<Shape>(call, target, softmax, tile);
}
