// Computes: rope: in every head, entries p and p + pairs turn by the angle of (token, p): a·c − b·s, b·c +
//   a·s; the rest passes. rope-table: cos and sin of position · frequency.
// Owners: a thread owns whole tokens; lanes are pairs.
// Cost: rope moves 8 bytes per element (4 in bf16) and 8·pairs per token of tables: bound by memory. The
//   table costs two libm calls in float64 per pair, once per batch for all layers.
// Assumes: contiguous rows, 2·pairs ≤ headDim, and heads that fill the row; checked below.
// Not done: angles in float32: position 100,000 leaves only 7 bits of the fraction of a turn.
#include "../../native/simd.h"

namespace qdylora::QD_LEVEL {
namespace {

constexpr double GRAIN = 16384;
constexpr double TABLE_GRAIN = 256;

template <class T>
void turnTokens(Threads& threads, const T* x, const float* cosines, const float* sines, T* y, Size tokens,
                Size width, Size headDim, Size pairs, float sign) {
  const int parts = threads.partsFor(static_cast<double>(tokens * width), GRAIN);
  threads.run(parts, [&](int part) {
    const Range range = shareOf(tokens, parts, part);
    for (Size t = range.begin; t < range.end; t++) {
      for (Size head = t * width; head < (t + 1) * width; head += headDim) {
        const auto turn = [&](Size p, int n) {
          const F32x c = loadFirst(cosines + t * pairs + p, n);
          const F32x s = loadFirst(sines + t * pairs + p, n) * sign;
          const F32x a = loadFirst(x + head + p, n);
          const F32x b = loadFirst(x + head + p + pairs, n);
          storeFirst(y + head + p, a * c - b * s, n);
          storeFirst(y + head + p + pairs, b * c + a * s, n);
        };
        Size p = 0;
        for (; p + WIDTH <= pairs; p += WIDTH) turn(p, WIDTH);
        if (p < pairs) turn(p, static_cast<int>(pairs - p));
        for (Size j = 2 * pairs; j < headDim; j++) y[head + j] = x[head + j];
      }
    }
  });
}

Status rope(Threads& threads, Dense x, In<float> cosines, In<float> sines, OutDense y, Size tokens,
            Size width, Size headDim, Size pairs, bool inverse) {
  QD_NEED(x, times(tokens, width));
  QD_NEED(cosines, times(tokens, pairs));
  QD_NEED(sines, times(tokens, pairs));
  QD_NEED(y, times(tokens, width));
  if (headDim == 0 || width % headDim || 2 * pairs > headDim)
    return unsupported("rows must be whole heads, with at most headDim / 2 pairs");
  const float sign = inverse ? -1.f : 1.f;
  if (!x.f32 != !y.f32) return unsupported("x and y must have the same element type");
  if (width == 0) return ok();  // nothing bounds the number of tokens
  if (x.f32)
    turnTokens(threads, x.f32, cosines.data, sines.data, y.f32, tokens, width, headDim, pairs, sign);
  else
    turnTokens(threads, x.bf16, cosines.data, sines.data, y.bf16, tokens, width, headDim, pairs, sign);
  return ok();
}

Status ropeTable(Threads& threads, In<std::int32_t> positions, In<float> inverseFrequencies,
                 Out<float> cosines, Out<float> sines, Size tokens, Size pairs, double scale) {
  QD_NEED(positions, tokens);
  QD_NEED(inverseFrequencies, pairs);
  QD_NEED(cosines, times(tokens, pairs));
  QD_NEED(sines, times(tokens, pairs));
  const int parts = threads.partsFor(static_cast<double>(tokens * pairs), TABLE_GRAIN);
  threads.run(parts, [&](int part) {
    const Range range = shareOf(tokens, parts, part);
    for (Size t = range.begin; t < range.end; t++) {
      for (Size p = 0; p < pairs; p++) {
        const double angle =
            static_cast<double>(positions.data[t]) * static_cast<double>(inverseFrequencies.data[p]);
        cosines.data[t * pairs + p] = static_cast<float>(__builtin_cos(angle) * scale);
        sines.data[t * pairs + p] = static_cast<float>(__builtin_sin(angle) * scale);
      }
    }
  });
  return ok();
}

}  // namespace
QD_EXPORT(rope)
QD_EXPORT(ropeTable)
}  // namespace qdylora::QD_LEVEL
