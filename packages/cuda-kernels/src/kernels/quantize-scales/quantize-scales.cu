// Computes: offset = mean(absmax), summed in float64; nestedAbsmax[g] = max |absmax − offset| over 256
//   blocks; code = nearest level of the signed dynamic map to (absmax − offset) / nestedAbsmax, the lower one
//   on a limit. The same bytes as the reference.
// Owners: one thread owns the mean: its last bit depends on the order. A block of 256 threads owns a group of
//   256 scales, a thread one of them; the map is made in shared memory.
// Cost: 5 bytes per scale; the mean is a chain of sums, about 10 ns each: 0.2 ns per weight.
// Assumes: blocks of 256 threads (quantize-scales.ts).
// Dropped: the mean as a tree: other bytes than the reference's. Not measured on a device.
#include "block-sum.h"
#include "level-search.h"

namespace {

constexpr int GROUP = 256;
constexpr int DECADES = 7;
// bitsandbytes' floor for a divisor: 1 / 1e-38 is still finite.
constexpr float SMALLEST_DIVISOR = 1e-38f;

// Edge i of `cells` equal cells on [0.1, 1], as PyTorch's float32 linspace has it (dynamic-8bit.ts of quant).
__device__ float cellEdge(int i, int cells) {
  const float step = __fdiv_rn(1.f - .1f, static_cast<float>(cells));
  return i < (cells + 1) / 2 ? fmaf(step, static_cast<float>(i), .1f)
                             : fmaf(-step, static_cast<float>(cells - i), 1.f);
}

// Positive level j of 127, rising: decade d has 2^d of them.
__device__ float positiveLevel(int j) {
  const int decade = 31 - __clz(j + 1);
  const int cells = 1 << decade;
  const int cell = j + 1 - cells;
  float scale = 1.f;
  switch (DECADES - 1 - decade) {
    case 1:
      scale = 1e-1f;
      break;
    case 2:
      scale = 1e-2f;
      break;
    case 3:
      scale = 1e-3f;
      break;
    case 4:
      scale = 1e-4f;
      break;
    case 5:
      scale = 1e-5f;
      break;
    case 6:
      scale = 1e-6f;
      break;
    default:
      break;
  }
  return __fmul_rn(middleOf(cellEdge(cell, cells), cellEdge(cell + 1, cells)), scale);
}

// Level `code` of the signed dynamic map: 127 negative ones, 0, 127 positive ones and 1.
__device__ float signedLevel(int code) {
  constexpr int ZERO = 127;
  if (code == ZERO) return 0.f;
  if (code == LEVELS_OF_BYTE - 1) return 1.f;
  return code < ZERO ? -positiveLevel(ZERO - 1 - code) : positiveLevel(code - ZERO - 1);
}

}  // namespace

extern "C" __global__ void scaleMean(const float* absmax, float* offset, int blocks) {
  double sum = 0;
#pragma unroll 8
  for (int i = 0; i < blocks; i++) sum += static_cast<double>(absmax[i]);
  *offset = static_cast<float>(sum / static_cast<double>(blocks));
}

extern "C" __global__ void __launch_bounds__(GROUP)
    quantizeScales(const float* absmax, const float* offset, unsigned char* codes, float* nestedAbsmax,
                   int blocks) {
  __shared__ float map[LEVELS_OF_BYTE];
  __shared__ unsigned partials[LARGEST_BLOCK / WARP];
  map[threadIdx.x] = signedLevel(threadIdx.x);
  const int from = blockIdx.x * GROUP;
  const int count = min(GROUP, blocks - from);
  const float difference = threadIdx.x < count ? absmax[from + threadIdx.x] - *offset : 0.f;
  const float most =
      __uint_as_float(blockMax(magnitudeBits(difference), partials));  // also a barrier for map
  if (threadIdx.x == 0) nestedAbsmax[blockIdx.x] = most;
  if (threadIdx.x >= count) return;
  const float divisor = fmaxf(most, SMALLEST_DIVISOR);
  const float x =
      count == GROUP ? __fmul_rn(difference, __fdiv_rn(1.f, divisor)) : __fdiv_rn(difference, divisor);
  codes[from + threadIdx.x] = static_cast<unsigned char>(nearestLevel(map, x));
}
