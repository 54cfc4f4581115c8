// Computes: one Lion step in place, with m in 8 bits. A block is decoded, updated as in lion-step.cpp, and
//   encoded with its new absmax.
// Owners: a thread owns whole blocks of up to 256 numbers of a row. The float32 moments of a block exist only
//   in its first cache.
// Cost: reads 9 and writes 5 bytes per element (lion-step: 12 and 8), but computes more: 2.2 ms where the
//   32-bit step takes 0.43 (512x4096, one thread, avx512_bf16, Zen 4, 2026).
// Assumes: bitsandbytes' signed dynamic map, checked below.
// Dropped: see adamw-8bit-step.cpp.
#include "../../native/lion-rule.h"
#include "../../native/state-codes.h"

namespace qdylora::QD_LEVEL {
namespace {

using MMap = DynamicMap<true>;

// A block of up to STATE_BLOCK numbers: its gradient, its parameter, and its momentum in 8 bits.
struct LionBlock {
  int count;
  const float* gradient;
  float* parameter;
  std::uint8_t* codes;
  float& absmax;
};

// Updates the parameter of a block, and the absmax of its new momentum, which goes to `m` in float32: whole
// vectors, so up to STATE_BLOCK numbers.
QD_INLINE void updateBlock(const LionBlock& block, const LionRule& rule, const MMap& map, float* m) {
  const LionRule blockRule = rule;  // copies stay in registers: no store can change them
  const int count = block.count;
  const float* gradient = block.gradient;
  float* parameter = block.parameter;
  const std::uint8_t* codes = block.codes;
  const MMap::Decoder decode(map);
  const F32x scale = all(block.absmax);
  F32x most{};
  const auto update = [&](int i, int n) QD_INLINE_BODY {
    F32x p = loadFirst(parameter + i, n);
    F32x first = decode(loadFirstBytes(codes + i, n, MMap::ZERO)) * scale;
    blockRule.update(loadFirst(gradient + i, n), p, first);
    storeFirst(parameter + i, p, n);
    store(m + i, first);
    most = larger(most, absolute(first));
  };
  int i = 0;
  for (; i + WIDTH <= count; i += WIDTH) update(i, WIDTH);
  if (i < count) update(i, count - i);
  block.absmax = largestOf(most);
}

Status lion8bitStep(Threads& threads, In<float> gradient, In<float> rates, In<float> mMap,
                    Out<float> parameter, Out<std::uint8_t> mCodes, Out<float> mAbsmax, Size rows,
                    Size columns, double beta1, double beta2) {
  const Size count = times(rows, columns);
  QD_NEED(gradient, count);
  QD_NEED(rates, 3);
  QD_NEED(mMap, 256);
  QD_NEED(parameter, count);
  QD_NEED(mCodes, count);
  QD_NEED(mAbsmax, times(rows, (columns + STATE_BLOCK - 1) / STATE_BLOCK));
  MMap map;
  if (!map.build(mMap.data)) return unsupported("mMap must be the signed dynamic map of 8-bit optimizers");
  const LionRule rule(rates.data, beta1, beta2);
  forEachStateBlock(threads, rows, columns, [&](Size from, int n, Size place) {
    const LionBlock block{n, gradient.data + from, parameter.data + from, mCodes.data + from,
                          mAbsmax.data[place]};
    alignas(64) float m[STATE_BLOCK];
    updateBlock(block, rule, map, m);
    encodeStates<0>(map, m, n, block.absmax, block.codes);
  });
  return ok();
}

}  // namespace
QD_EXPORT(lion8bitStep)
}  // namespace qdylora::QD_LEVEL
