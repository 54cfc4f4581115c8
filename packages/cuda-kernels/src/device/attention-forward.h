// causal-attention by fused multiply-adds, and what both kinds of its kernels share.
#pragma once
#include "attention.h"

constexpr float NOTHING = -3e38f;  // below every score: the score of a key that is not seen

// Where results go. Several chunks write unnormalized sums and (largest score, total) of each.
struct AttentionTarget {
  void* y;
  float* logSumExp;
  float* chunkSums;    // [chunks, heads, queries, dim]
  float* chunkStates;  // [chunks, heads, queries, 2]
  int chunks;
  int chunkKeys;
};

// The rows of a block, from `begin` on.
struct OwnTile {
  int chunk;
  int head;
  int begin;
};

__device__ inline OwnTile queryTile(const AttentionCall& call, const AttentionTarget& target, int rows) {
  const int block = blockIdx.x / target.chunks;
  return {static_cast<int>(blockIdx.x % target.chunks), block % call.heads, block / call.heads * rows};
}

// Where the results of a query go, from its softmax.
class RowTarget {
 public:
  __device__ RowTarget(const AttentionCall& call, const AttentionTarget& target, const OwnTile& tile,
                       int query, float largest, float total)
      : call(call), target(target), largest(largest), total(total) {
    isOnly = target.chunks == 1;
    logSumAt = static_cast<Size>(tile.head) * call.queries + query;
    state = static_cast<Size>(tile.chunk) * call.heads * call.queries + logSumAt;
    row = (static_cast<Size>(query) * call.heads + tile.head) * call.dim;
    factor = total > 0.f ? 1.f / total : 0.f;
  }
  __device__ void putState() const {
    if (isOnly) {
      target.logSumExp[logSumAt] = total > 0.f ? largest + logf(total) : 0.f;
    } else {
      target.chunkStates[2 * state] = largest;
      target.chunkStates[2 * state + 1] = total;
    }
  }
  __device__ void putSum(int d, float sum) const {
    if (isOnly)
      putElement(target.y, call.kind, row + d, sum * factor);
    else
      target.chunkSums[state * call.dim + d] = sum;
  }

 private:
  const AttentionCall& call;
  const AttentionTarget& target;
  float largest;
  float total;
  float factor;
  bool isOnly;
  Size logSumAt;
  Size state;
  Size row;
};

template <class Shape>
struct Softmax {
  float largest = NOTHING;
  float total = 0.f;
  float sums[Shape::ELEMENTS_OF_THREAD] = {};

  // Weights of the thread's partners from their scores, which are NOTHING where they are not seen.
  __device__ void weigh(float (&scores)[Shape::PARTNERS_OF_THREAD]) {
    float most = largest;
#pragma unroll
    for (int i = 0; i < Shape::PARTNERS_OF_THREAD; i++) most = fmaxf(most, scores[i]);
#pragma unroll
    for (int distance = Shape::THREADS_OF_ROW / 2; distance > 0; distance /= 2)
      most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, distance));
    float sum = 0.f;
#pragma unroll
    for (int i = 0; i < Shape::PARTNERS_OF_THREAD; i++) {
      scores[i] = scores[i] == NOTHING ? 0.f : expf(scores[i] - most);
      sum += scores[i];
    }
#pragma unroll
    for (int distance = Shape::THREADS_OF_ROW / 2; distance > 0; distance /= 2)
      sum += __shfl_xor_sync(0xffffffffu, sum, distance);
    const float correction = most == largest ? 1.f : expf(largest - most);
    total = total * correction + sum;
    largest = most;
#pragma unroll
    for (int i = 0; i < Shape::ELEMENTS_OF_THREAD; i++) sums[i] *= correction;
  }
};

template <class Shape>
__device__ void storeRow(const AttentionCall& call, const AttentionTarget& target,
                         const Softmax<Shape>& softmax, const OwnTile& tile, int query) {
  if (query >= call.queries) return;
  const RowTarget row(call, target, tile, query, softmax.largest, softmax.total);
  if (laneOfRow<Shape>() == 0) row.putState();
#pragma unroll
  for (int i = 0; i < Shape::ELEMENTS_OF_THREAD; i++) {
    const int d = laneOfRow<Shape>() + Shape::THREADS_OF_ROW * i;
    if (d < call.dim) row.putSum(d, softmax.sums[i]);
  }
}

template <class Shape>
__device__ void attend(const AttentionCall& call, const AttentionTarget& target, const OwnTile& tile) {
  __shared__ float queries[Shape::OWN_ROWS][Shape::STRIDE];
  __shared__ float partners[Shape::PARTNER_ROWS][Shape::STRIDE];
  __shared__ float weights[Shape::OWN_ROWS][Shape::PARTNER_ROWS + 1];
  __shared__ Visible visible[Shape::OWN_ROWS];
  const auto [chunk, head, begin] = tile;
  const int kvHead = head / (call.heads / call.kvHeads);
  loadRows(queries, call, call.q, call.heads, head, begin, call.queries);
  if (threadIdx.x < Shape::OWN_ROWS) visible[threadIdx.x] = keysOf(call, begin + threadIdx.x);
  __syncthreads();
  const Visible any = seenByAny(visible);
  const int first = max(any.first, chunk * target.chunkKeys);
  const int end = min(any.last + 1, (chunk + 1) * target.chunkKeys);
  const Visible own = visible[ownRow<Shape>()];
  const int query = begin + ownRow<Shape>();
  Softmax<Shape> softmax;
  for (int key = first; key < end; key += Shape::PARTNER_ROWS) {
    loadRows(partners, call, call.k, call.kvHeads, kvHead, key, end);
    __syncthreads();
    float scores[Shape::PARTNERS_OF_THREAD];
    dotRows<Shape>(queries, partners, call.dim, scores);
#pragma unroll
    for (int i = 0; i < Shape::PARTNERS_OF_THREAD; i++) {
      const int partner = key + laneOfRow<Shape>() + Shape::THREADS_OF_ROW * i;
      const float score = scoreOf(call, scores[i], head, query, partner, own.shift).value;
      scores[i] = partner < end && sees(own, partner) ? score : NOTHING;
    }
    softmax.weigh(scores);
#pragma unroll
    for (int i = 0; i < Shape::PARTNERS_OF_THREAD; i++)
      weights[ownRow<Shape>()][laneOfRow<Shape>() + Shape::THREADS_OF_ROW * i] = asOperand(call, scores[i]);
    __syncthreads();
    loadRows(partners, call, call.v, call.kvHeads, kvHead, key, end);
    __syncthreads();
    addRows<Shape>(softmax.sums, weights, partners, call.dim);
    __syncthreads();
  }
  storeRow(call, target, softmax, tile, query);
}
