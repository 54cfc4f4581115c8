// Computes: causal-attention and its backward with all operands in bfloat16, for heads of up to 128 elements.
// Owners: a block of four warps owns 64 queries of one head (dk, dv: 64 keys of one kv head), a warp 16 of
//   them; k and v (q and dy) come 32 rows at a time, 16 for heads over 64. Scores stay in registers, where
//   their fragments are those of the next product's left factor.
// Cost: 4 · dim operations per score forward, 6 for dq, 8 for dk and dv; 64 rows share what is read: about 32
//   operations a byte of the second cache.
// Assumes: as causal-attention.cu. Below sm_80: the same blocks by fused multiply-adds, half of the rows each
//   time.
// Dropped: copies one tile ahead; skipping tiles that a window leaves out between two segments. Not measured
//   on a device.
#include "attention-arguments.h"
#if __CUDA_ARCH__ >= 800
#include "tensor-backward.h"
#include "tensor-forward.h"
#else
#include "attention-backward.h"
#endif

namespace {

#if __CUDA_ARCH__ < 800
// Calls compute(tile) for the parts of a tile of TENSOR_OWN_ROWS.
template <class Shape, class Compute>
__device__ void inParts(OwnTile tile, const Compute& compute) {
#pragma unroll 1
  for (int part = 0; part < TENSOR_OWN_ROWS / Shape::OWN_ROWS; part++) {
    compute(tile);
    tile.begin += Shape::OWN_ROWS;
    __syncthreads();
  }
}
#endif

}  // namespace

#if __CUDA_ARCH__ >= 800
#define QD_ATTEND(DIM, CALL, TARGET, TILE) attendByTensorCores<Tensor##DIM>(CALL, TARGET, TILE)
#define QD_QUERIES(DIM, CALL, BACKWARD, DQ, TILE) \
  queryGradientsByTensorCores<Tensor##DIM>(CALL, BACKWARD, DQ, TILE)
#define QD_KEYS(DIM, CALL, BACKWARD, DK, DV, TILE) \
  keyGradientsByTensorCores<Tensor##DIM>(CALL, BACKWARD, DK, DV, TILE)
#else
#define QD_ATTEND(DIM, CALL, TARGET, TILE) \
  inParts<Shape##DIM>(TILE, [&](const OwnTile& part) { attend<Shape##DIM>(CALL, TARGET, part); })
#define QD_QUERIES(DIM, CALL, BACKWARD, DQ, TILE) \
  inParts<Shape##DIM>(TILE,                       \
                      [&](const OwnTile& part) { queryGradients<Shape##DIM>(CALL, BACKWARD, DQ, part); })
#define QD_KEYS(DIM, CALL, BACKWARD, DK, DV, TILE) \
  inParts<Shape##DIM>(TILE,                        \
                      [&](const OwnTile& part) { keyGradients<Shape##DIM>(CALL, BACKWARD, DK, DV, part); })
#endif

#define QD_TENSOR(DIM)                                                                               \
  extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS)                                    \
      attendTensor##DIM(QD_ATTENTION_ARGUMENTS, void* y, float* logSumExp, float* chunkSums,         \
                        float* chunkStates, int chunks, int chunkKeys) {                             \
    const AttentionCall call = QD_ATTENTION_CALL;                                                    \
    const AttentionTarget target = {y, logSumExp, chunkSums, chunkStates, chunks, chunkKeys};        \
    QD_ATTEND(DIM, call, target, queryTile(call, target, TENSOR_OWN_ROWS));                          \
  }                                                                                                  \
  extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS) queryGradientsTensor##DIM(         \
      QD_ATTENTION_ARGUMENTS, const void* dy, const float* logSumExp, const float* dots, void* dq) { \
    const AttentionCall call = QD_ATTENTION_CALL;                                                    \
    const AttentionGradients backward = {dy, logSumExp, dots};                                       \
    QD_QUERIES(DIM, call, backward, dq, tileOfBlock(heads, TENSOR_OWN_ROWS));                        \
  }                                                                                                  \
  extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS)                                    \
      keyGradientsTensor##DIM(QD_ATTENTION_ARGUMENTS, const void* dy, const float* logSumExp,        \
                              const float* dots, void* dk, void* dv) {                               \
    const AttentionCall call = QD_ATTENTION_CALL;                                                    \
    const AttentionGradients backward = {dy, logSumExp, dots};                                       \
    QD_KEYS(DIM, call, backward, dk, dv, tileOfBlock(kvHeads, TENSOR_OWN_ROWS));                     \
  }

QD_TENSOR(64)
QD_TENSOR(128)
