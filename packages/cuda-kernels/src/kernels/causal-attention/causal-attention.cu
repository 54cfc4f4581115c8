// Computes: y = softmax(score) · v and logSumExp, score = cap(scale · q·k) + slope · (key − query position),
//   of packed segments, grouped heads and windows; operands rounded to `operandKind`.
// Owners: a block owns 32 queries (16 for heads over 128) of one head and a chunk of the keys; neighbouring
//   threads share a query. The softmax is corrected from tile to tile (Milakov & Gimelshein 2018). Several
//   chunks, for few queries, are joined by a second kernel in their order.
// Cost: 4 · dim operations per score; k and v are read once per tile of queries: bound by the reads of shared
//   memory, about two for each fused multiply-add.
// Assumes: heads of up to 256 elements, segments that begin at 0 and rise (causal-attention.ts). Queries in
//   no segment get y = 0 and logSumExp = 0.
// Dropped: nothing yet; causal-attention.tensor.cu has the tensor cores. Not measured on a device.
#include "attention-arguments.h"
#include "attention-forward.h"

#define QD_ATTEND(DIM)                                                                                     \
  extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS)                                          \
      attend##DIM(QD_ATTENTION_ARGUMENTS, void* y, float* logSumExp, float* chunkSums, float* chunkStates, \
                  int chunks, int chunkKeys) {                                                             \
    const AttentionCall call = QD_ATTENTION_CALL;                                                          \
    const AttentionTarget target = {y, logSumExp, chunkSums, chunkStates, chunks, chunkKeys};              \
    attend<Shape##DIM>(call, target, queryTile(call, target, Shape##DIM::OWN_ROWS));                       \
  }

QD_ATTEND(64)
QD_ATTEND(128)
QD_ATTEND(256)

// A block owns a query of a head: y and logSumExp of all chunks, added in their order.
extern "C" __global__ void joinChunks(const float* chunkSums, const float* chunkStates, void* y, int kind,
                                      float* logSumExp, int chunks, int queries, int heads, int dim) {
  const int head = blockIdx.x % heads;
  const int query = blockIdx.x / heads;
  const Size rows = static_cast<Size>(heads) * queries;
  const Size row = static_cast<Size>(head) * queries + query;
  float largest = NOTHING;
  for (int chunk = 0; chunk < chunks; chunk++)
    largest = fmaxf(largest, chunkStates[2 * (chunk * rows + row)]);
  float total = 0.f;
  for (int chunk = 0; chunk < chunks; chunk++) {
    const float* state = chunkStates + 2 * (chunk * rows + row);
    if (state[1] > 0.f) total += state[1] * expf(state[0] - largest);
  }
  for (int d = threadIdx.x; d < dim; d += blockDim.x) {
    float sum = 0.f;
    for (int chunk = 0; chunk < chunks; chunk++) {
      const float* state = chunkStates + 2 * (chunk * rows + row);
      if (state[1] > 0.f) sum += chunkSums[(chunk * rows + row) * dim + d] * expf(state[0] - largest);
    }
    putElement(y, kind, (static_cast<Size>(query) * heads + head) * dim + d, total > 0.f ? sum / total : 0.f);
  }
  if (threadIdx.x == 0) logSumExp[row] = total > 0.f ? largest + logf(total) : 0.f;
}
