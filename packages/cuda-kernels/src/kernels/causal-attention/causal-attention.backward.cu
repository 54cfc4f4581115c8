// Computes: with p = exp(score − logSumExp), e = p·(dy·v − dy·y)·(slope of the cap): dv = pᵀ·dy, dq =
//   scale·e·k, dk = scale·eᵀ·q. Scores are computed again from q and k.
// Owners: a block owns a tile of queries of one head for dq, and a tile of keys of one kv head for dk and dv,
//   which walks over all heads of its group; neighbouring threads share a row. dy·y comes from a first
//   kernel, a warp for each query of a head. No atomics.
// Cost: dq 6 and dk, dv together 8 · dim operations per score: bound by the reads of shared memory, about two
//   for each fused multiply-add.
// Assumes: as causal-attention.cu. Keys in no segment get dk = dv = 0.
// Dropped: one kernel for all three with atomics on dq: no fixed order. causal-attention.tensor.cu has the
//   tensor cores. Not measured on a device.
#include "attention-arguments.h"
#include "attention-backward.h"

namespace {

constexpr int LANES = 32;
// Blocks of a multiprocessor that there must be registers for. Left to itself, ptxas makes room for more of
// them on sm_90, and spills.
constexpr int KEY_BLOCKS = 3;

}  // namespace

// dots[head, query] = dy · y: a warp for each.
extern "C" __global__ void outputDots(const void* y, const void* dy, int kind, float* dots, int queries,
                                      int heads, int dim) {
  const Size row = (static_cast<Size>(blockIdx.x) * blockDim.x + threadIdx.x) / LANES;
  if (row >= static_cast<Size>(queries) * heads) return;  // a whole warp
  const int lane = threadIdx.x % LANES;
  float sum = 0.f;
  for (int d = lane; d < dim; d += LANES)
    sum += elementOf(dy, kind, row * dim + d) * elementOf(y, kind, row * dim + d);
  for (int distance = LANES / 2; distance > 0; distance /= 2)
    sum += __shfl_xor_sync(0xffffffffu, sum, distance);
  if (lane == 0) dots[row % heads * queries + row / heads] = sum;
}

#define QD_GRADIENTS(DIM)                                                                                  \
  extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS) queryGradients##DIM(                     \
      QD_ATTENTION_ARGUMENTS, const void* dy, const float* logSumExp, const float* dots, void* dq) {       \
    const AttentionCall call = QD_ATTENTION_CALL;                                                          \
    queryGradients<Shape##DIM>(call, {dy, logSumExp, dots}, dq, tileOfBlock(heads, Shape##DIM::OWN_ROWS)); \
  }                                                                                                        \
  extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS, KEY_BLOCKS)                              \
      keyGradients##DIM(QD_ATTENTION_ARGUMENTS, const void* dy, const float* logSumExp, const float* dots, \
                        void* dk, void* dv) {                                                              \
    const AttentionCall call = QD_ATTENTION_CALL;                                                          \
    keyGradients<Shape##DIM>(call, {dy, logSumExp, dots}, dk, dv,                                          \
                             tileOfBlock(kvHeads, Shape##DIM::OWN_ROWS));                                  \
  }

QD_GRADIENTS(64)
QD_GRADIENTS(128)
QD_GRADIENTS(256)
