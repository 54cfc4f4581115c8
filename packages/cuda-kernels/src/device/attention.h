// What the attention kernels share: who sees whom, scores, and tiles in shared memory. A block has 128
// threads and owns a tile of rows (queries or keys). It walks over the rows of the other kind, its partners.
// Some neighbouring threads share one own row.
#pragma once
#include "element.h"

constexpr int ATTENTION_THREADS = 128;
constexpr int TENSOR_OWN_ROWS = 64;  // of blocks that use tensor cores, as in causal-attention.ts

// Tiles for heads of up to MOST_DIM elements: three of them fit in 48 KiB of shared memory.
template <int MOST_DIM_, int OWN_ROWS_, int PARTNER_ROWS_>
struct AttentionShape {
  static constexpr int MOST_DIM = MOST_DIM_;
  static constexpr int OWN_ROWS = OWN_ROWS_;
  static constexpr int PARTNER_ROWS = PARTNER_ROWS_;
  static constexpr int STRIDE = MOST_DIM_ + 1;  // rows begin in different banks
  static constexpr int THREADS_OF_ROW = ATTENTION_THREADS / OWN_ROWS_;
  static constexpr int PARTNERS_OF_THREAD = PARTNER_ROWS_ / THREADS_OF_ROW;
  static constexpr int ELEMENTS_OF_THREAD = MOST_DIM_ / THREADS_OF_ROW;
};
using Shape64 = AttentionShape<64, 32, 32>;
using Shape128 = AttentionShape<128, 32, 16>;
using Shape256 = AttentionShape<256, 16, 8>;

// A call of either op. Rows of q are [heads, dim], rows of k and v [kvHeads, dim].
struct AttentionCall {
  const void* q;
  const void* k;
  const void* v;
  int kind;         // of q, k, v and all arrays of their shapes
  int operandKind;  // to which operands of products are rounded
  const int* querySegments;
  const int* keySegments;
  int ends;  // of segments, one more than there are segments
  const float* alibiSlopes;
  bool hasSlopes;
  int queries;
  int keys;
  int heads;
  int kvHeads;
  int dim;
  int window;
  float scale;
  float softCap;
};

// The partners of a row, first to last; none where last < first. The query at position `key` is key − shift.
struct Visible {
  int first;
  int last;
  int shift;
};

// The segment of a row, or −1.
__device__ inline int segmentOf(const int* segments, int ends, int row) {
  int low = 0, high = ends;  // the first end above row
  while (low < high) {
    const int middle = (low + high) / 2;
    if (segments[middle] > row)
      high = middle;
    else
      low = middle + 1;
  }
  return low > 0 && low < ends ? low - 1 : -1;
}

__device__ inline Visible keysOf(const AttentionCall& call, int query) {
  const int segment = query < call.queries ? segmentOf(call.querySegments, call.ends, query) : -1;
  if (segment < 0) return {0, -1, 0};
  const int shift = call.keySegments[segment + 1] - call.querySegments[segment + 1];
  const int last = query + shift;
  const int begin = call.keySegments[segment];
  return {call.window > 0 ? max(begin, last - call.window + 1) : begin, last, shift};
}

__device__ inline Visible queriesOf(const AttentionCall& call, int key) {
  const int segment = key < call.keys ? segmentOf(call.keySegments, call.ends, key) : -1;
  if (segment < 0) return {0, -1, 0};
  const int end = call.querySegments[segment + 1];
  const int shift = call.keySegments[segment + 1] - end;
  const int first = max(call.querySegments[segment], key - shift);
  return {first, call.window > 0 ? min(end - 1, key - shift + call.window - 1) : end - 1, shift};
}

// `slope`: the derivative of the score with respect to scale · q·k.
struct Score {
  float value;
  float slope;
};

__device__ inline Score scoreOf(const AttentionCall& call, float dot, int head, int query, int key,
                                int shift) {
  const float bias = call.hasSlopes ? call.alibiSlopes[head] * static_cast<float>(key - query - shift) : 0.f;
  const float x = dot * call.scale;
  if (call.softCap <= 0.f) return {x + bias, 1.f};
  const float tangent = tanhf(x / call.softCap);
  return {call.softCap * tangent + bias, 1.f - tangent * tangent};
}

__device__ inline float asOperand(const AttentionCall& call, float value) {
  return asOperand(call.operandKind, value);
}

// Copies rows of one head to shared memory, as operands; rows from `end` on are 0.
template <int ROWS, int STRIDE>
__device__ inline void loadRows(float (&tile)[ROWS][STRIDE], const AttentionCall& call, const void* array,
                                int heads, int head, int begin, int end) {
  for (int i = threadIdx.x; i < ROWS * call.dim; i += ATTENTION_THREADS) {
    const int row = i / call.dim;
    const int d = i % call.dim;
    const Size at = (static_cast<Size>(begin + row) * heads + head) * call.dim + d;
    tile[row][d] = begin + row < end ? asOperand(call, elementOf(array, call.kind, at)) : 0.f;
  }
}

template <class Shape>
__device__ inline int ownRow() {
  return threadIdx.x / Shape::THREADS_OF_ROW;
}
// The first partner of this thread; its others are THREADS_OF_ROW apart. Its elements of a row likewise.
template <class Shape>
__device__ inline int laneOfRow() {
  return threadIdx.x % Shape::THREADS_OF_ROW;
}

// Products of the own row with the thread's partners.
template <class Shape>
__device__ inline void dotRows(const float (&own)[Shape::OWN_ROWS][Shape::STRIDE],
                               const float (&partners)[Shape::PARTNER_ROWS][Shape::STRIDE], int dim,
                               float (&dots)[Shape::PARTNERS_OF_THREAD]) {
#pragma unroll
  for (int i = 0; i < Shape::PARTNERS_OF_THREAD; i++) dots[i] = 0.f;
#pragma unroll 2
  for (int d = 0; d < dim; d++) {
    const float value = own[ownRow<Shape>()][d];
#pragma unroll
    for (int i = 0; i < Shape::PARTNERS_OF_THREAD; i++)
      dots[i] = fmaf(value, partners[laneOfRow<Shape>() + Shape::THREADS_OF_ROW * i][d], dots[i]);
  }
}

// sums += the partners, weighted for the own row.
template <class Shape>
__device__ inline void addRows(float (&sums)[Shape::ELEMENTS_OF_THREAD],
                               const float (&weights)[Shape::OWN_ROWS][Shape::PARTNER_ROWS + 1],
                               const float (&partners)[Shape::PARTNER_ROWS][Shape::STRIDE], int dim) {
#pragma unroll 1
  for (int j = 0; j < Shape::PARTNER_ROWS; j++) {
    const float weight = weights[ownRow<Shape>()][j];
#pragma unroll
    for (int i = 0; i < Shape::ELEMENTS_OF_THREAD; i++) {
      const int d = laneOfRow<Shape>() + Shape::THREADS_OF_ROW * i;
      if (d < dim) sums[i] = fmaf(weight, partners[j][d], sums[i]);
    }
  }
}

// The partners that any own row sees.
template <int ROWS>
__device__ inline Visible seenByAny(const Visible (&rows)[ROWS]) {
  Visible all = {0x7fffffff, -1, 0};
  for (int i = 0; i < ROWS; i++) {
    if (rows[i].last < rows[i].first) continue;
    all.first = min(all.first, rows[i].first);
    all.last = max(all.last, rows[i].last);
  }
  return all;
}

__device__ inline bool sees(const Visible& visible, int partner) {
  return partner >= visible.first && partner <= visible.last;
}
