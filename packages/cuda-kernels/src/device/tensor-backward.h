// causal-attention-backward by tensor cores.
#pragma once
#include "attention-backward.h"
#include "attention-tensor.h"

template <class Shape>
__device__ void putRows(const AttentionCall& call, void* array, int heads, int head, int begin, int end,
                        const Rows<Shape>& rows, float factor) {
#pragma unroll
  for (int r = 0; r < 2; r++) {
    const int row = begin + tensorRow(2 * r);
    if (row >= end) continue;
    const Size at = (static_cast<Size>(row) * heads + head) * call.dim;
#pragma unroll
    for (int n = 0; n < Shape::DIM_TILES; n++)
#pragma unroll
      for (int e = 0; e < 2; e++) {
        const int d = tensorColumn(n, e);
        if (d < call.dim) putElement(array, call.kind, at + d, factor * rows.at[n][2 * r + e]);
      }
  }
}

template <class Shape>
__device__ void queryGradientsByTensorCores(const AttentionCall& call, const AttentionGradients& backward,
                                            void* dq, const OwnTile& tile) {
  __shared__ alignas(16) typename Shape::Operand queries[Shape::OWN_ROWS][Shape::STRIDE];
  __shared__ alignas(16) typename Shape::Operand gradients[Shape::OWN_ROWS][Shape::STRIDE];
  __shared__ alignas(16) typename Shape::Operand keys[Shape::PARTNER_ROWS][Shape::STRIDE];
  __shared__ alignas(16) typename Shape::Operand values[Shape::PARTNER_ROWS][Shape::STRIDE];
  __shared__ Visible visible[Shape::OWN_ROWS];
  const auto [chunk, head, begin] = tile;
  const int kvHead = head / (call.heads / call.kvHeads);
  loadTile<Shape>(queries, call, call.q, call.heads, head, begin, call.queries);
  loadTile<Shape>(gradients, call, backward.dy, call.heads, head, begin, call.queries);
  if (threadIdx.x < Shape::OWN_ROWS) visible[threadIdx.x] = keysOf(call, begin + threadIdx.x);
  __syncthreads();
  const Visible any = seenByAny(visible);
  const Visible own[2] = {visible[tensorRow(0)], visible[tensorRow(2)]};
  Rows<Shape> sums = {};
  for (int key = any.first; key <= any.last; key += Shape::PARTNER_ROWS) {
    loadTile<Shape>(keys, call, call.k, call.kvHeads, kvHead, key, any.last + 1);
    loadTile<Shape>(values, call, call.v, call.kvHeads, kvHead, key, any.last + 1);
    commitCopies();
    waitForCopies<0>();
    __syncthreads();
    Scores<Shape> scores = multiplyRows<Shape>(queries, keys);
    const Scores<Shape> products = multiplyRows<Shape>(gradients, values);
#pragma unroll
    for (int j = 0; j < Shape::SCORE_TILES; j++)
#pragma unroll
      for (int e = 0; e < 4; e++)
        scores.at[j][e] =
            termsOf(call, backward, scores.at[j][e], products.at[j][e], head, begin + tensorRow(e),
                    key + tensorColumn(j, e), own[e / 2], sees(own[e / 2], key + tensorColumn(j, e)))
                .e;
    addWeighted<Shape>(sums, scores, keys);
    __syncthreads();
  }
  commitCopies();
  waitForCopies<0>();
  putRows<Shape>(call, dq, call.heads, head, begin, call.queries, sums, call.scale);
}

template <class Shape>
__device__ void keyGradientsByTensorCores(const AttentionCall& call, const AttentionGradients& backward,
                                          void* dk, void* dv, const OwnTile& tile) {
  __shared__ alignas(16) typename Shape::Operand keys[Shape::OWN_ROWS][Shape::STRIDE];
  __shared__ alignas(16) typename Shape::Operand values[Shape::OWN_ROWS][Shape::STRIDE];
  __shared__ alignas(16) typename Shape::Operand queries[Shape::PARTNER_ROWS][Shape::STRIDE];
  __shared__ alignas(16) typename Shape::Operand gradients[Shape::PARTNER_ROWS][Shape::STRIDE];
  __shared__ Visible visible[Shape::OWN_ROWS];
  const auto [chunk, kvHead, begin] = tile;
  loadTile<Shape>(keys, call, call.k, call.kvHeads, kvHead, begin, call.keys);
  loadTile<Shape>(values, call, call.v, call.kvHeads, kvHead, begin, call.keys);
  if (threadIdx.x < Shape::OWN_ROWS) visible[threadIdx.x] = queriesOf(call, begin + threadIdx.x);
  __syncthreads();
  const Visible any = seenByAny(visible);
  const Visible own[2] = {visible[tensorRow(0)], visible[tensorRow(2)]};
  const int group = call.heads / call.kvHeads;
  Rows<Shape> keySums = {}, valueSums = {};
  for (int head = kvHead * group; head < (kvHead + 1) * group; head++) {
    for (int query = any.first; query <= any.last; query += Shape::PARTNER_ROWS) {
      loadTile<Shape>(queries, call, call.q, call.heads, head, query, any.last + 1);
      loadTile<Shape>(gradients, call, backward.dy, call.heads, head, query, any.last + 1);
      commitCopies();
      waitForCopies<0>();
      __syncthreads();
      Scores<Shape> weights = multiplyRows<Shape>(keys, queries);
      Scores<Shape> errors = multiplyRows<Shape>(values, gradients);
#pragma unroll
      for (int j = 0; j < Shape::SCORE_TILES; j++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
          const int partner = query + tensorColumn(j, e);
          const Terms terms = termsOf(call, backward, weights.at[j][e], errors.at[j][e], head, partner,
                                      begin + tensorRow(e), own[e / 2], sees(own[e / 2], partner));
          weights.at[j][e] = terms.p;
          errors.at[j][e] = terms.e;
        }
      addWeighted<Shape>(valueSums, weights, gradients);
      addWeighted<Shape>(keySums, errors, queries);
      __syncthreads();
    }
  }
  commitCopies();
  waitForCopies<0>();
  putRows<Shape>(call, dk, call.kvHeads, kvHead, begin, call.keys, keySums, call.scale);
  putRows<Shape>(call, dv, call.kvHeads, kvHead, begin, call.keys, valueSums, 1.f);
}
