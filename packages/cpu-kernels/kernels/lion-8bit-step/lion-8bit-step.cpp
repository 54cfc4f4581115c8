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

// `m`: the new momentum in float32, up to whole vectors. Returns its largest magnitude.
QD_INLINE float lionBlock(const LionRule& rule, const MMap& map, const float* gradient, float* parameter,
                          const std::uint8_t* codes, int count, float* m, float absmax) {
  const LionRule blockRule = rule;
  const MMap::Decoder decode(map);
  const F32x scale = all(absmax);
  F32x most{};
  const auto update = [&](int i, int n) QD_INLINE_BODY {
    F32x p = loadFirst(parameter + i, n), first = decode(loadFirstBytes(codes + i, n, MMap::ZERO)) * scale;
    blockRule.update(loadFirst(gradient + i, n), p, first);
    storeFirst(parameter + i, p, n);
    store(m + i, first);
    most = larger(most, absolute(first));
  };
  int i = 0;
  for (; i + WIDTH <= count; i += WIDTH) update(i, WIDTH);
  if (i < count) update(i, count - i);
  return largestOf(most);
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
  forEachStateBlock(threads, rows, columns, [&](Size from, int n, Size block) {
    alignas(64) float m[STATE_BLOCK];
    mAbsmax.data[block] = lionBlock(rule, map, gradient.data + from, parameter.data + from,
                                    mCodes.data + from, n, m, mAbsmax.data[block]);
    encodeStates<0>(map, m, n, mAbsmax.data[block], mCodes.data + from);
  });
  return ok();
}

}  // namespace
QD_EXPORT(lion8bitStep)
}  // namespace qdylora::QD_LEVEL
