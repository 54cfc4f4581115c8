// Computes: one AdamW step in place, with m and v in 8 bits. A block is decoded, updated as in
//   adamw-step.cpp, and encoded with its new absmax.
// Owners: a thread owns whole blocks of up to 256 numbers of a row. The float32 moments of a block exist only
//   in its first cache.
// Cost: reads 10 and writes 6 bytes per element (adamw-step: 16 and 12), but computes more: 58 cycles for 16
//   numbers, 40 of them for the root and the quotient (Granite Rapids, 2026).
// Assumes: bitsandbytes' dynamic maps, checked below; gradients with finite squares, which the caller
//   ensures.
// Dropped: levels and codes by table look-ups in memory: any map, but 11 cycles an element, 6 times the
//   32-bit step (Zen 4, 2026).
#include "../../native/state-codes.h"

namespace qdylora::QD_LEVEL {
namespace {

// p ← keep·p − stepSize·m / (√v + epsilon): stepSize and epsilon carry v's bias correction, which saves a
// division. rates = [stepSize, epsilon, keep, scale].
struct AdamwRates {
  float stepSize, epsilon;
  float keep;   // 1 − learningRate · weightDecay
  float scale;  // of gradients
  float beta1, beta2;
  float rest1, rest2;  // 1 − beta1, 1 − beta2
};

using MMap = DynamicMap<true>;
using VMap = DynamicMap<false>;

// A block of up to STATE_BLOCK numbers: its gradient, its parameter, and its states in 8 bits.
struct AdamwBlock {
  int count;
  const float* gradient;
  float* parameter;
  std::uint8_t *mCodes, *vCodes;
  float &mAbsmax, &vAbsmax;
};

// Updates the parameter of a block, and the absmax of its new moments, which go to `m` and `v` in float32:
// whole vectors, so up to STATE_BLOCK numbers.
QD_INLINE void updateBlock(const AdamwBlock& block, const AdamwRates& r, const MMap& mMap, const VMap& vMap,
                           float* m, float* v) {
  const AdamwRates rates = r;  // copies stay in registers: no store can change them
  const int count = block.count;
  const float* gradient = block.gradient;
  float* parameter = block.parameter;
  const std::uint8_t* mCodes = block.mCodes;
  const std::uint8_t* vCodes = block.vCodes;
  const MMap::Decoder decodeM(mMap);
  const VMap::Decoder decodeV(vMap);
  const F32x mScale = all(r.beta1 * block.mAbsmax);
  const F32x vScale = all(r.beta2 * block.vAbsmax);
  F32x mMost{};
  F32x vMost{};
  const auto update = [&](int i, int n) QD_INLINE_BODY {
    const F32x g = loadFirst(gradient + i, n) * rates.scale;
    const F32x first = decodeM(loadFirstBytes(mCodes + i, n, MMap::ZERO)) * mScale + rates.rest1 * g;
    const F32x second = decodeV(loadFirstBytes(vCodes + i, n, VMap::ZERO)) * vScale + rates.rest2 * g * g;
    storeFirst(parameter + i,
               loadFirst(parameter + i, n) * rates.keep -
                   (rates.stepSize * first) / (squareRoot(second) + rates.epsilon),
               n);
    store(m + i, first);
    store(v + i, second);
    mMost = larger(mMost, absolute(first));
    vMost = larger(vMost, second);
  };
  int i = 0;
  for (; i + WIDTH <= count; i += WIDTH) update(i, WIDTH);
  if (i < count) update(i, count - i);
  block.mAbsmax = largestOf(mMost);
  block.vAbsmax = largestOf(vMost);
}

Status adamw8bitStep(Threads& threads, In<float> gradient, In<float> rates, In<float> mMap, In<float> vMap,
                     Out<float> parameter, Out<std::uint8_t> mCodes, Out<float> mAbsmax,
                     Out<std::uint8_t> vCodes, Out<float> vAbsmax, Size rows, Size columns, double beta1,
                     double beta2) {
  const Size count = times(rows, columns);
  const Size blocks = times(rows, (columns + STATE_BLOCK - 1) / STATE_BLOCK);
  QD_NEED(gradient, count);
  QD_NEED(rates, 4);
  QD_NEED(mMap, 256);
  QD_NEED(vMap, 256);
  QD_NEED(parameter, count);
  QD_NEED(mCodes, count);
  QD_NEED(mAbsmax, blocks);
  QD_NEED(vCodes, count);
  QD_NEED(vAbsmax, blocks);
  MMap m;
  VMap v;
  if (!m.build(mMap.data) || !v.build(vMap.data))
    return unsupported("mMap and vMap must be the signed and the unsigned dynamic map of 8-bit optimizers");
  const AdamwRates stepRates{rates.data[0],
                             rates.data[1],
                             rates.data[2],
                             rates.data[3],
                             static_cast<float>(beta1),
                             static_cast<float>(beta2),
                             static_cast<float>(1 - beta1),
                             static_cast<float>(1 - beta2)};
  forEachStateBlock(threads, rows, columns, [&](Size from, int n, Size place) {
    const AdamwBlock block{n,
                           gradient.data + from,
                           parameter.data + from,
                           mCodes.data + from,
                           vCodes.data + from,
                           mAbsmax.data[place],
                           vAbsmax.data[place]};
    alignas(64) float first[STATE_BLOCK], second[STATE_BLOCK];
    updateBlock(block, stepRates, m, v, first, second);
    encodeStates<0>(m, first, n, block.mAbsmax, block.mCodes);
    encodeStates<1>(v, second, n, block.vAbsmax, block.vCodes);
  });
  return ok();
}

}  // namespace
QD_EXPORT(adamw8bitStep)
}  // namespace qdylora::QD_LEVEL
