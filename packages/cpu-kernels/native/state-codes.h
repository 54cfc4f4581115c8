#pragma once
#include "simd.h"

// 8-bit optimizer states: value i of a block = levels[code i] · absmax. Blocks of up to 256 numbers, a row's
// last one may be shorter.
namespace qdylora::QD_LEVEL {

constexpr int STATE_BLOCK = 256;
// Elements per thread below which it is not woken: a quarter of ELEMENTWISE_GRAIN, for about four times the
// work per element. Not tuned.
constexpr double STATE_GRAIN = 8192;

// bitsandbytes' dynamic maps as arithmetic. Levels ≥ 0 fall into nine segments: 0; seven decades, whose
// levels are equally far apart, twice as many in each as in the one before; 1. Count levels from zero as q
// = 1, 2, … (unsigned) or 1, 3, … (signed, its negative levels are the mirror image): then q's exponent is
// the segment. Sixteen entries per table fit into registers, so decoding is 2 look-ups and a multiply-add,
// and encoding 5, a comparison and a multiply-add.
template <bool SIGNED>
struct DynamicMap {
  static constexpr int ZERO = SIGNED ? 127 : 0;
  static constexpr int SEGMENTS = 9;
  static constexpr int PER_LEVEL = SIGNED ? 2 : 1;
  // By q's exponent (segment + 127) modulo 16: a segment's level at q = 2^segment, and the distance between
  // neighbours in q.
  float start[16], stride[16];
  // By exponent / 2 of |x|: the segment of its smallest number, and the limit within it above which the next
  // one begins.
  float limit[16];
  std::int32_t segment[16];
  // Level of x, counted from zero, within its segment: x · slope + offset, cut off, at most `last`.
  float slope[16], offset[16];
  std::int32_t last[16];
  float smallest;  // level above 0

  static int slotOf(int s) { return (s + 127) & 15; }
  static int firstOf(int s) {
    return s == 0 ? 0 : s == 8 ? 255 - ZERO : SIGNED ? 1 << (s - 1) : (1 << s) - 1;
  }
  static int countOf(int s) { return s == 0 || s == 8 ? 1 : SIGNED ? 1 << (s - 1) : 1 << s; }

  // False where `map` is no such map: a level further than 2^-21 of itself from where the segments put it.
  bool build(const float* map) {
    const float* levels = map + ZERO;
    smallest = levels[1];
    for (int i = 0; i < 16; i++) start[i] = stride[i] = slope[i] = 0, offset[i] = 0.5f, last[i] = 0;
    for (int s = 1; s < SEGMENTS; s++) {
      const int first = firstOf(s);
      const int count = countOf(s);
      const double least = levels[first];
      const double step =
          count > 1 ? (static_cast<double>(levels[first + count - 1]) - least) / (count - 1) : 0;
      stride[slotOf(s)] = static_cast<float>(step / PER_LEVEL);
      start[slotOf(s)] = static_cast<float>(SIGNED ? least - step / 2 : least);
      slope[s] = step > 0 ? static_cast<float>(1 / step) : 0;
      offset[s] = static_cast<float>(first + 0.5 - (step > 0 ? least / step : 0));
      last[s] = first + count - 1;
    }
    return limitsFrom(levels) && fits(map);
  }

  // Looks levels up in tables that stay in registers over a loop.
  struct Decoder {
    Table16 start, stride;
    explicit QD_INLINE Decoder(const DynamicMap& map) : start(map.start), stride(map.stride) {}
    QD_INLINE F32x operator()(I32x codes) const {
      const I32x fromZero = codes - ZERO;
      const I32x sign = fromZero >> 31;
      const I32x away = SIGNED ? (fromZero ^ sign) - sign : fromZero;
      const F32x q = toF32(SIGNED ? away + away + 1 : away + 1);
      const I32x exponent = asI32(q) >> 23;
      const F32x value = fma(stride.at(exponent), q - asF32(asI32(q) & 0x7f800000), start.at(exponent));
      return SIGNED ? asF32(asI32(value) | (sign & INT32_MIN)) : value;
    }
  };

  // Codes of numbers in [-1, 1], or [0, 1]; NaN becomes some code.
  struct Encoder {
    Table16 limit, segment, slope, offset, last;
    explicit QD_INLINE Encoder(const DynamicMap& map)
        : limit(map.limit),
          segment(bitsOf(map.segment)),
          slope(map.slope),
          offset(map.offset),
          last(bitsOf(map.last)) {}
    QD_INLINE I32x operator()(F32x x) const {
      const F32x size = larger(SIGNED ? absolute(x) : x, all(0x1p-24f));
      const I32x pair = asI32(size) >> 24;
      const I32x s = asI32(segment.at(pair)) - (size > limit.at(pair));
      const I32x place = toI32(fma(size, slope.at(s), offset.at(s)));
      const I32x level = smaller(place, asI32(last.at(s)));
      const I32x sign = asI32(x) >> 31;
      // there is a level 1, but none at -1
      return SIGNED ? larger(ZERO + ((level ^ sign) - sign), I32x{}) : level;
    }
    // A table of whole numbers is one of floats with those bits.
    static const float* bitsOf(const std::int32_t* table) { return reinterpret_cast<const float*>(table); }
  };

 private:
  bool limitsFrom(const float* levels) {
    for (int i = 0; i < 16; i++) limit[i] = __builtin_inff(), segment[i] = 0;
    for (int s = 0; s + 1 < SEGMENTS; s++) {
      const float edge = static_cast<float>(
          (static_cast<double>(levels[last[s]]) + static_cast<double>(levels[firstOf(s + 1)])) / 2);
      if (!(edge > 0x1p-24f && edge <= 1)) return false;
      const int pair = (__builtin_bit_cast(std::int32_t, edge) >> 24) & 15;
      if (limit[pair] <= 1 || segment[pair] != s) return false;
      limit[pair] = edge;
      for (int later = pair + 1; later < 16; later++) segment[later] = s + 1;
    }
    return true;
  }

  bool fits(const float* map) const {
    for (int code = 0; code < 256; code++) {
      const int away = code < ZERO ? ZERO - code : code - ZERO;
      const int q = SIGNED ? 2 * away + 1 : away + 1;
      const int s = 31 - __builtin_clz(static_cast<unsigned>(q));
      const float magnitude = stride[slotOf(s)] * static_cast<float>(q - (1 << s)) + start[slotOf(s)];
      const float level = code < ZERO ? -magnitude : magnitude;
      if (!(__builtin_fabsf(level - map[code]) <= 0x1p-21f * magnitude)) return false;
    }
    return true;
  }
};

// Calls body(from, count, block) for every block of [rows, columns]: its first element, its length, and its
// number. Each thread has a contiguous share of the blocks.
template <class Body>
QD_INLINE void forEachStateBlock(Threads& threads, Size rows, Size columns, const Body& body) {
  const Size perRow = (columns + STATE_BLOCK - 1) / STATE_BLOCK;
  const int parts = threads.partsFor(static_cast<double>(rows) * static_cast<double>(columns), STATE_GRAIN);
  threads.run(parts, [&](int part) {
    const Range range = shareOf(rows * perRow, parts, part);
    for (Size block = range.begin; block < range.end; block++) {
      const Size start = block % perRow * STATE_BLOCK;
      body(block / perRow * columns + start, static_cast<int>(smaller<Size>(STATE_BLOCK, columns - start)),
           block);
    }
  });
}

// The first n lanes from memory, the others `rest`.
QD_INLINE I32x loadFirstBytes(const std::uint8_t* p, int n, std::int32_t rest) {
  if (n >= WIDTH) return loadBytes(p);
  I32x v = allI32(rest);
  for (int i = 0; i < n; i++) v[i] = p[i];
  return v;
}
QD_INLINE void storeFirstBytes(std::uint8_t* p, I32x v, int n) {
  if (n >= WIDTH) {
    *reinterpret_cast<U8xUnaligned*>(p) = __builtin_convertvector(v, U8x);
    return;
  }
  for (int i = 0; i < n; i++) p[i] = static_cast<std::uint8_t>(v[i]);
}

// Codes of values / absmax; a number > 0 never gets a code below `LEAST` (0 or 1). `values` are scratch
// afterwards.
template <int LEAST, bool SIGNED>
QD_INLINE void encodeStates(const DynamicMap<SIGNED>& map, float* values, int count, float absmax,
                            std::uint8_t* codes) {
  float scale = 1;
  if (absmax < 0x1p-100f) {  // so that 1 / absmax is finite; zeros stay zeros
    for (int i = 0; i < count; i++) values[i] *= 0x1p64f;
    absmax *= 0x1p64f;
  }
  if (absmax > 0) scale = 1 / absmax;
  const typename DynamicMap<SIGNED>::Encoder encode(map);
  const float smallest = map.smallest;
  const auto codesAt = [&](int i) QD_INLINE_BODY {
    const F32x value = load(values + i);
    const F32x x = value * scale;
    const I32x code = encode(LEAST ? larger(x, all(smallest)) : x);
    return LEAST ? code & (value > F32x{}) : code;
  };
  int i = 0;
  for (; i + WIDTH <= count; i += WIDTH) storeFirstBytes(codes + i, codesAt(i), WIDTH);
  if (i < count) storeFirstBytes(codes + i, codesAt(i), count - i);
}

}  // namespace qdylora::QD_LEVEL
