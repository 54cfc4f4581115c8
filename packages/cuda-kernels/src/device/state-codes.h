// 8-bit optimizer states: value = map[code] · absmax of its block of up to 256 numbers of a row. A block of
// 256 threads owns a block of numbers, a thread one of them.
#pragma once
#include "block-sum.h"
#include "level-search.h"

constexpr int STATE_BLOCK = 256;

// A block of numbers: `count` of them from element `from` on, with its scale at `block`.
struct StateBlock {
  Size from;
  int count;
  Size block;
};

__device__ inline StateBlock stateBlockOf(Size block, int columns) {
  const Size perRow = (columns + STATE_BLOCK - 1) / STATE_BLOCK;
  const int start = static_cast<int>(block % perRow) * STATE_BLOCK;
  return {block / perRow * columns + start, min(STATE_BLOCK, columns - start), block};
}

// What is shared by the threads of a block, for one state.
struct SharedState {
  float map[LEVELS_OF_BYTE];
  unsigned partials[LARGEST_BLOCK / WARP];
};

// Writes the thread's number as a code, and the block's scale. `leastCode`: of numbers that are not 0. All
// threads call it; those past the end of the block have the value 0.
__device__ inline void encodeState(SharedState& shared, const StateBlock& block, float value,
                                   unsigned char* codes, float* absmax, int leastCode) {
  const float most = __uint_as_float(blockMax(magnitudeBits(value), shared.partials));
  if (threadIdx.x == 0) absmax[block.block] = most;
  if (threadIdx.x >= block.count) return;
  const int code = nearestLevel(shared.map, most == 0.f ? value : value / most);
  codes[block.from + threadIdx.x] = static_cast<unsigned char>(value == 0.f ? code : max(code, leastCode));
}
