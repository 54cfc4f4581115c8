// causal-attention-backward by fused multiply-adds, and what both kinds of its kernels share.
#pragma once
#include "attention-forward.h"

struct AttentionGradients {
  const void* dy;
  const float* logSumExp;   // [heads, queries]
  const float* outputDots;  // dy · y: [heads, queries]
};

// p, and e = p · (dy·v − dy·y) · (slope of the cap); both 0 where the key is not seen.
struct Terms {
  float p;
  float e;
};

// `dot`: q·k, `product`: dy·v
__device__ inline Terms termsOf(const AttentionCall& call, const AttentionGradients& backward, float dot,
                                float product, int head, int query, int key, const Visible& own,
                                bool isSeen) {
  if (!isSeen) return {0.f, 0.f};
  const Score score = scoreOf(call, dot, head, query, key, own.shift);
  const Size at = static_cast<Size>(head) * call.queries + query;
  const float p = expf(score.value - backward.logSumExp[at]);
  return {p, p * (product - backward.outputDots[at]) * score.slope};
}

// The tile of a block without chunks.
__device__ inline OwnTile tileOfBlock(int heads, int rows) {
  return {0, static_cast<int>(blockIdx.x) % heads, static_cast<int>(blockIdx.x) / heads * rows};
}

template <class Shape>
__device__ void queryGradients(const AttentionCall& call, const AttentionGradients& backward, void* dq,
                               const OwnTile& tile) {
  __shared__ float queries[Shape::OWN_ROWS][Shape::STRIDE];
  __shared__ float gradients[Shape::OWN_ROWS][Shape::STRIDE];
  __shared__ float partners[Shape::PARTNER_ROWS][Shape::STRIDE];
  __shared__ float weights[Shape::OWN_ROWS][Shape::PARTNER_ROWS + 1];
  __shared__ Visible visible[Shape::OWN_ROWS];
  const auto [chunk, head, begin] = tile;
  const int kvHead = head / (call.heads / call.kvHeads);
  loadRows(queries, call, call.q, call.heads, head, begin, call.queries);
  loadRows(gradients, call, backward.dy, call.heads, head, begin, call.queries);
  if (threadIdx.x < Shape::OWN_ROWS) visible[threadIdx.x] = keysOf(call, begin + threadIdx.x);
  __syncthreads();
  const Visible any = seenByAny(visible);
  const Visible own = visible[ownRow<Shape>()];
  const int query = begin + ownRow<Shape>();
  float sums[Shape::ELEMENTS_OF_THREAD] = {};
  for (int key = any.first; key <= any.last; key += Shape::PARTNER_ROWS) {
    loadRows(partners, call, call.k, call.kvHeads, kvHead, key, any.last + 1);
    __syncthreads();
    float scores[Shape::PARTNERS_OF_THREAD], products[Shape::PARTNERS_OF_THREAD];
    dotRows<Shape>(queries, partners, call.dim, scores);
    __syncthreads();
    loadRows(partners, call, call.v, call.kvHeads, kvHead, key, any.last + 1);
    __syncthreads();
    dotRows<Shape>(gradients, partners, call.dim, products);
#pragma unroll
    for (int i = 0; i < Shape::PARTNERS_OF_THREAD; i++) {
      const int column = laneOfRow<Shape>() + Shape::THREADS_OF_ROW * i;
      const Terms terms = termsOf(call, backward, scores[i], products[i], head, query, key + column, own,
                                  sees(own, key + column));
      weights[ownRow<Shape>()][column] = asOperand(call, terms.e);
    }
    __syncthreads();
    loadRows(partners, call, call.k, call.kvHeads, kvHead, key, any.last + 1);
    __syncthreads();
    addRows<Shape>(sums, weights, partners, call.dim);
    __syncthreads();
  }
  if (query >= call.queries) return;
  const Size row = (static_cast<Size>(query) * call.heads + head) * call.dim;
#pragma unroll
  for (int i = 0; i < Shape::ELEMENTS_OF_THREAD; i++) {
    const int d = laneOfRow<Shape>() + Shape::THREADS_OF_ROW * i;
    if (d < call.dim) putElement(dq, call.kind, row + d, call.scale * sums[i]);
  }
}

template <class Shape>
__device__ void keyGradients(const AttentionCall& call, const AttentionGradients& backward, void* dk,
                             void* dv, const OwnTile& tile) {
  __shared__ float keys[Shape::OWN_ROWS][Shape::STRIDE];
  __shared__ float values[Shape::OWN_ROWS][Shape::STRIDE];
  __shared__ float partners[Shape::PARTNER_ROWS][Shape::STRIDE];
  __shared__ float weights[Shape::OWN_ROWS][Shape::PARTNER_ROWS + 1];
  __shared__ Visible visible[Shape::OWN_ROWS];
  const auto [chunk, kvHead, begin] = tile;
  loadRows(keys, call, call.k, call.kvHeads, kvHead, begin, call.keys);
  loadRows(values, call, call.v, call.kvHeads, kvHead, begin, call.keys);
  if (threadIdx.x < Shape::OWN_ROWS) visible[threadIdx.x] = queriesOf(call, begin + threadIdx.x);
  __syncthreads();
  const Visible any = seenByAny(visible);
  const Visible own = visible[ownRow<Shape>()];
  const int key = begin + ownRow<Shape>();
  const int group = call.heads / call.kvHeads;
  float keySums[Shape::ELEMENTS_OF_THREAD] = {}, valueSums[Shape::ELEMENTS_OF_THREAD] = {};
  for (int head = kvHead * group; head < (kvHead + 1) * group; head++) {
    for (int query = any.first; query <= any.last; query += Shape::PARTNER_ROWS) {
      loadRows(partners, call, call.q, call.heads, head, query, any.last + 1);
      __syncthreads();
      float scores[Shape::PARTNERS_OF_THREAD], products[Shape::PARTNERS_OF_THREAD];
      dotRows<Shape>(keys, partners, call.dim, scores);
      __syncthreads();
      loadRows(partners, call, backward.dy, call.heads, head, query, any.last + 1);
      __syncthreads();
      dotRows<Shape>(values, partners, call.dim, products);
#pragma unroll
      for (int i = 0; i < Shape::PARTNERS_OF_THREAD; i++) {
        const int column = laneOfRow<Shape>() + Shape::THREADS_OF_ROW * i;
        const Terms terms = termsOf(call, backward, scores[i], products[i], head, query + column, key, own,
                                    sees(own, query + column));
        weights[ownRow<Shape>()][column] = asOperand(call, terms.p);
        products[i] = asOperand(call, terms.e);
      }
      __syncthreads();
      addRows<Shape>(valueSums, weights, partners, call.dim);
      __syncthreads();
#pragma unroll
      for (int i = 0; i < Shape::PARTNERS_OF_THREAD; i++)
        weights[ownRow<Shape>()][laneOfRow<Shape>() + Shape::THREADS_OF_ROW * i] = products[i];
      loadRows(partners, call, call.q, call.heads, head, query, any.last + 1);
      __syncthreads();
      addRows<Shape>(keySums, weights, partners, call.dim);
      __syncthreads();
    }
  }
  if (key >= call.keys) return;
  const Size row = (static_cast<Size>(key) * call.kvHeads + kvHead) * call.dim;
#pragma unroll
  for (int i = 0; i < Shape::ELEMENTS_OF_THREAD; i++) {
    const int d = laneOfRow<Shape>() + Shape::THREADS_OF_ROW * i;
    if (d >= call.dim) continue;
    putElement(dk, call.kind, row + d, call.scale * keySums[i]);
    putElement(dv, call.kind, row + d, valueSums[i]);
  }
}
