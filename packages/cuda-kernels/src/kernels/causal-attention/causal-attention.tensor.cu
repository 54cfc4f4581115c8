// Computes: causal-attention and its backward with all operands of two bytes, for heads of up to 128
//   elements.
// Owners: a block of four warps owns 64 queries of one head (dk, dv: 64 keys of one kv head), a warp 16 of
//   them; k and v (q and dy) come 32 rows at a time, 16 for heads over 64. Scores stay in registers, where
//   they are the next product's left factor; on sm_70 lanes exchange them first.
// Cost: 4 · dim operations per score forward, 6 for dq, 8 for dk and dv; 64 rows share what is read: about 32
//   operations a byte of the second cache.
// Assumes: as causal-attention.cu. bfloat16 below sm_80: the same blocks by fused multiply-adds, half of the
//   rows each time.
// Dropped: copies one tile ahead; skipping tiles that a window leaves out between two segments. Not measured
//   on a device.
#include "attention-arguments.h"
#include "attention-backward.h"
#include "tensor-backward.h"
#include "tensor-forward.h"

namespace {

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

// By fused multiply-adds.
template <class Shape>
struct FmaAttention {
  __device__ static void attend(const AttentionCall& call, const AttentionTarget& target,
                                const OwnTile& tile) {
    inParts<Shape>(tile, [&](const OwnTile& part) { ::attend<Shape>(call, target, part); });
  }
  __device__ static void queryGradients(const AttentionCall& call, const AttentionGradients& backward,
                                        void* dq, const OwnTile& tile) {
    inParts<Shape>(tile, [&](const OwnTile& part) { ::queryGradients<Shape>(call, backward, dq, part); });
  }
  __device__ static void keyGradients(const AttentionCall& call, const AttentionGradients& backward, void* dk,
                                      void* dv, const OwnTile& tile) {
    inParts<Shape>(tile, [&](const OwnTile& part) { ::keyGradients<Shape>(call, backward, dk, dv, part); });
  }
};

// By tensor cores.
template <class Shape>
struct TensorAttention {
  __device__ static void attend(const AttentionCall& call, const AttentionTarget& target,
                                const OwnTile& tile) {
    attendByTensorCores<Shape>(call, target, tile);
  }
  __device__ static void queryGradients(const AttentionCall& call, const AttentionGradients& backward,
                                        void* dq, const OwnTile& tile) {
    queryGradientsByTensorCores<Shape>(call, backward, dq, tile);
  }
  __device__ static void keyGradients(const AttentionCall& call, const AttentionGradients& backward, void* dk,
                                      void* dv, const OwnTile& tile) {
    keyGradientsByTensorCores<Shape>(call, backward, dk, dv, tile);
  }
};

// Blocks of a multiprocessor that there must be registers for; 0: as ptxas chooses. It would spill in attend
// on sm_70 and in queryGradients on sm_90. On sm_70 and sm_75 shared memory has room for two blocks of
// queryGradients, and registers for four would spill.
constexpr int ATTEND_BLOCKS = __CUDA_ARCH__ < 750 ? 2 : 0;
constexpr int QUERY_BLOCKS = __CUDA_ARCH__ < 800 ? 2 : 4;

template <class Operand>
using Heads64 = ByTensorCores<Operand, TensorAttention<Tensor64<Operand>>, FmaAttention<Shape64>>;
template <class Operand>
using Heads128 = ByTensorCores<Operand, TensorAttention<Tensor128<Operand>>, FmaAttention<Shape128>>;

}  // namespace

#define QD_TENSOR(SUFFIX, ATTENTION)                                                                     \
  extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS, ATTEND_BLOCKS)                         \
      attendTensor##SUFFIX(QD_ATTENTION_ARGUMENTS, void* y, float* logSumExp, float* chunkSums,          \
                           float* chunkStates, int chunks, int chunkKeys) {                              \
    const AttentionCall call = QD_ATTENTION_CALL;                                                        \
    const AttentionTarget target = {y, logSumExp, chunkSums, chunkStates, chunks, chunkKeys};            \
    ATTENTION::attend(call, target, queryTile(call, target, TENSOR_OWN_ROWS));                           \
  }                                                                                                      \
  extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS, QUERY_BLOCKS)                          \
      queryGradientsTensor##SUFFIX(QD_ATTENTION_ARGUMENTS, const void* dy, const float* logSumExp,       \
                                   const float* dots, void* dq) {                                        \
    const AttentionCall call = QD_ATTENTION_CALL;                                                        \
    ATTENTION::queryGradients(call, {dy, logSumExp, dots}, dq, tileOfBlock(heads, TENSOR_OWN_ROWS));     \
  }                                                                                                      \
  extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS)                                        \
      keyGradientsTensor##SUFFIX(QD_ATTENTION_ARGUMENTS, const void* dy, const float* logSumExp,         \
                                 const float* dots, void* dk, void* dv) {                                \
    const AttentionCall call = QD_ATTENTION_CALL;                                                        \
    ATTENTION::keyGradients(call, {dy, logSumExp, dots}, dk, dv, tileOfBlock(kvHeads, TENSOR_OWN_ROWS)); \
  }

QD_TENSOR(64Bf16, Heads64<BFloat16>)
QD_TENSOR(128Bf16, Heads128<BFloat16>)
QD_TENSOR(64F16, Heads64<Float16>)
QD_TENSOR(128F16, Heads128<Float16>)
