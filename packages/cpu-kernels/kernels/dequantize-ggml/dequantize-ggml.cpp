// Computes: the values of ggml's packed blocks (GGUF files) as float32. The same bits as the reference.
// Owners: a thread owns whole blocks; a lane is one value. The layouts are documented in the reference, one
//   file each (quant/src/ggml).
// Cost: reads 0.3 to 1.1 and writes 4 bytes per value: bound by the bandwidth of stores, and by first touches
//   of new memory.
// Assumes: whole blocks; lengths are checked below. A product of a scale and a code fits into 24 bits, so
//   every value is rounded once, as in the reference.
// Dropped: unpacking and quantizing in one pass: the search for codes reads its block twice, from the first
//   cache either way.
#include "../../native/simd.h"

namespace qdylora::QD_LEVEL {
namespace {

constexpr double GRAIN = 32768;
constexpr int HALF = 16;
typedef const std::uint8_t* Bytes;

QD_INLINE std::uint32_t wordAt(Bytes p) {
  return p[0] | p[1] << 8 | p[2] << 16 | static_cast<std::uint32_t>(p[3]) << 24;
}

// IEEE half → float, exact; whatever the thread does with subnormal numbers.
QD_INLINE float halfAt(Bytes p) {
  const std::uint32_t bits = p[0] | p[1] << 8;
  const std::uint32_t sign = (bits & 0x8000) << 16;
  const std::uint32_t exponent = bits >> 10 & 31;
  const std::uint32_t fraction = bits & 1023;
  if (exponent == 0) return (sign ? -1.f : 1.f) * static_cast<float>(fraction) * 0x1p-24f;
  const std::uint32_t wide = exponent == 31 ? 255 : exponent + (127 - 15);
  return __builtin_bit_cast(float, sign | wide << 23 | fraction << 13);
}

// Sixteen values from sixteen codes: `codes(i)` gives WIDTH of them from place i on, as whole numbers.
template <class Codes>
QD_INLINE void scaled(float* values, float step, Codes codes) {
  for (int i = 0; i < HALF; i += WIDTH) store(values + i, toF32(codes(i)) * step);
}
template <class Codes>
QD_INLINE void scaledAndMoved(float* values, float step, float offset, Codes codes) {
  for (int i = 0; i < HALF; i += WIDTH) store(values + i, toF32(codes(i)) * step + offset);
}
QD_INLINE I32x signedBytes(Bytes p) { return loadBytes(p) << 24 >> 24; }
// Lane j: bit `at` + j of the word, as 0 or 16.
QD_INLINE I32x fifthBits(std::uint32_t word, int at) {
  static constexpr std::int32_t LANES[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return (I32x)((allI32(static_cast<std::int32_t>(word >> at)) >> loadI32(LANES)) & 1) << 4;
}

struct Q4_0 {
  static constexpr Size LENGTH = 32;
  static constexpr Size BYTES = 18;
  static QD_INLINE void unpack(Bytes b, float* v) {
    const float d = halfAt(b);
    scaled(v, d, [&](int i) { return (loadBytes(b + 2 + i) & 15) - 8; });
    scaled(v + HALF, d, [&](int i) { return (loadBytes(b + 2 + i) >> 4) - 8; });
  }
};
struct Q4_1 {
  static constexpr Size LENGTH = 32;
  static constexpr Size BYTES = 20;
  static QD_INLINE void unpack(Bytes b, float* v) {
    const float d = halfAt(b);
    const float m = halfAt(b + 2);
    scaledAndMoved(v, d, m, [&](int i) { return loadBytes(b + 4 + i) & 15; });
    scaledAndMoved(v + HALF, d, m, [&](int i) { return loadBytes(b + 4 + i) >> 4; });
  }
};
struct Q5_0 {
  static constexpr Size LENGTH = 32;
  static constexpr Size BYTES = 22;
  static QD_INLINE void unpack(Bytes b, float* v) {
    const float d = halfAt(b);
    const std::uint32_t fifth = wordAt(b + 2);
    scaled(v, d, [&](int i) { return ((loadBytes(b + 6 + i) & 15) | fifthBits(fifth, i)) - 16; });
    scaled(v + HALF, d, [&](int i) { return (loadBytes(b + 6 + i) >> 4 | fifthBits(fifth, HALF + i)) - 16; });
  }
};
struct Q5_1 {
  static constexpr Size LENGTH = 32;
  static constexpr Size BYTES = 24;
  static QD_INLINE void unpack(Bytes b, float* v) {
    const float d = halfAt(b);
    const float m = halfAt(b + 2);
    const std::uint32_t fifth = wordAt(b + 4);
    scaledAndMoved(v, d, m, [&](int i) { return (loadBytes(b + 8 + i) & 15) | fifthBits(fifth, i); });
    scaledAndMoved(v + HALF, d, m,
                   [&](int i) { return loadBytes(b + 8 + i) >> 4 | fifthBits(fifth, HALF + i); });
  }
};
struct Q8_0 {
  static constexpr Size LENGTH = 32;
  static constexpr Size BYTES = 34;
  static QD_INLINE void unpack(Bytes b, float* v) {
    const float d = halfAt(b);
    for (int run = 0; run < 32; run += HALF)
      scaled(v + run, d, [&](int i) { return signedBytes(b + 2 + run + i); });
  }
};
struct Q2_K {
  static constexpr Size LENGTH = 256;
  static constexpr Size BYTES = 84;
  static QD_INLINE void unpack(Bytes b, float* v) {
    const float d = halfAt(b + 80);
    const float dmin = halfAt(b + 82);
    for (int group = 0; group < 16; group++) {
      const Bytes codes = b + 16 + (group >> 3) * 32 + (group & 1) * HALF;
      const int shift = (group >> 1 & 3) * 2;
      scaledAndMoved(v + group * HALF, d * static_cast<float>(b[group] & 15),
                     -(dmin * static_cast<float>(b[group] >> 4)),
                     [&](int i) { return loadBytes(codes + i) >> shift & 3; });
    }
  }
};
struct Q3_K {
  static constexpr Size LENGTH = 256;
  static constexpr Size BYTES = 110;
  static QD_INLINE void unpack(Bytes b, float* v) {
    const float d = halfAt(b + 108);
    const Bytes scales = b + 96;
    for (int group = 0; group < 16; group++) {
      const int low = group < 8 ? scales[group] & 15 : scales[group - 8] >> 4;
      const int scale = low | (scales[8 + (group & 3)] >> (group >> 2) * 2 & 3) << 4;
      const Bytes high = b + (group & 1) * HALF;
      const Bytes codes = b + 32 + (group >> 3) * 32 + (group & 1) * HALF;
      const int shift = (group >> 1 & 3) * 2;
      const int bit = group >> 1;
      scaled(v + group * HALF, d * static_cast<float>(scale - 32), [&](int i) {
        return (loadBytes(codes + i) >> shift & 3) + ((loadBytes(high + i) >> bit & 1) << 2) - 4;
      });
    }
  }
};
// Scale and minimum j of eight, six bits each, as Q4_K and Q5_K pack them into twelve bytes.
struct SixBits {
  int scale, minimum;
};
QD_INLINE SixBits sixBits(Bytes p, int j) {
  if (j < 4) return {p[j] & 63, p[j + 4] & 63};
  return {(p[j + 4] & 15) | p[j - 4] >> 6 << 4, p[j + 4] >> 4 | p[j] >> 6 << 4};
}
// Eight groups of 32 values with a scale and a minimum each; `codes(group, i)` gives WIDTH codes of a group
// from place i on.
template <class Codes>
QD_INLINE void eightGroups(Bytes b, float* v, Codes codes) {
  const float d = halfAt(b);
  const float dmin = halfAt(b + 2);
  for (int group = 0; group < 8; group++) {
    const SixBits pair = sixBits(b + 4, group);
    const float step = d * static_cast<float>(pair.scale);
    const float offset = -(dmin * static_cast<float>(pair.minimum));
    for (int run = 0; run < 32; run += HALF)
      scaledAndMoved(v + group * 32 + run, step, offset, [&](int i) { return codes(group, run + i); });
  }
}
// Two groups share 32 bytes: the low nibbles are the even group's.
QD_INLINE I32x nibblesOf(Bytes codes, int group, int i) {
  return loadBytes(codes + (group >> 1) * 32 + i) >> (group & 1) * 4 & 15;
}
struct Q4_K {
  static constexpr Size LENGTH = 256;
  static constexpr Size BYTES = 144;
  static QD_INLINE void unpack(Bytes b, float* v) {
    eightGroups(b, v, [&](int group, int i) { return nibblesOf(b + 16, group, i); });
  }
};
struct Q5_K {
  static constexpr Size LENGTH = 256;
  static constexpr Size BYTES = 176;
  static QD_INLINE void unpack(Bytes b, float* v) {
    eightGroups(b, v, [&](int group, int i) {
      return nibblesOf(b + 48, group, i) | (loadBytes(b + 16 + i) >> group & 1) << 4;
    });
  }
};
struct Q6_K {
  static constexpr Size LENGTH = 256;
  static constexpr Size BYTES = 210;
  static QD_INLINE void unpack(Bytes b, float* v) {
    const float d = halfAt(b + 208);
    for (int group = 0; group < 16; group++) {
      const int at = group % 8 * HALF;  // within the half of 128 values
      const Bytes low = b + group / 8 * 64 + (at & 63);
      const Bytes high = b + 128 + group / 8 * 32 + (at & 31);
      const float step = d * static_cast<float>(static_cast<std::int8_t>(b[192 + group]));
      scaled(v + group * HALF, step, [&](int i) {
        return ((loadBytes(low + i) >> (at >> 6) * 4 & 15) | (loadBytes(high + i) >> (at >> 5) * 2 & 3)
                                                                 << 4) -
               32;
      });
    }
  }
};
struct Q8_K {
  static constexpr Size LENGTH = 256;
  static constexpr Size BYTES = 292;
  static QD_INLINE void unpack(Bytes b, float* v) {
    const float d = __builtin_bit_cast(float, wordAt(b));
    for (int run = 0; run < 256; run += HALF)
      scaled(v + run, d, [&](int i) { return signedBytes(b + 4 + run + i); });
  }
};
constexpr float IQ4_LEVELS[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
// The low nibbles of sixteen bytes, then the high ones.
QD_INLINE void fromLevels(Bytes codes, float step, float* v) {
  const Table16 levels(IQ4_LEVELS);
  for (int i = 0; i < HALF; i += WIDTH) {
    const I32x pair = loadBytes(codes + i);
    store(v + i, levels.at(pair & 15) * step);
    store(v + HALF + i, levels.at(pair >> 4) * step);
  }
}
struct IQ4_NL {
  static constexpr Size LENGTH = 32;
  static constexpr Size BYTES = 18;
  static QD_INLINE void unpack(Bytes b, float* v) { fromLevels(b + 2, halfAt(b), v); }
};
struct IQ4_XS {
  static constexpr Size LENGTH = 256;
  static constexpr Size BYTES = 136;
  static QD_INLINE void unpack(Bytes b, float* v) {
    const float d = halfAt(b);
    const int high = b[2] | b[3] << 8;
    for (int group = 0; group < 8; group++) {
      const int scale = (b[4 + (group >> 1)] >> (group & 1) * 4 & 15) | (high >> 2 * group & 3) << 4;
      fromLevels(b + 8 + group * HALF, d * static_cast<float>(scale - 32), v + group * 32);
    }
  }
};

template <class Type>
Status unpackAll(Threads& threads, In<std::uint8_t> blocks, Out<float> values, Size count) {
  QD_NEED(blocks, times(count, Type::BYTES));
  QD_NEED(values, times(count, Type::LENGTH));
  const int parts = threads.partsFor(static_cast<double>(count * Type::LENGTH), GRAIN);
  threads.run(parts, [&](int part) {
    const Range range = shareOf(count, parts, part);
    for (Size block = range.begin; block < range.end; block++)
      Type::unpack(blocks.data + block * Type::BYTES, values.data + block * Type::LENGTH);
  });
  return ok();
}

// `type`: ggml's number of the type.
Status dequantizeGgml(Threads& threads, In<std::uint8_t> blocks, Out<float> values, Size type, Size count) {
  switch (type) {
    case 2:
      return unpackAll<Q4_0>(threads, blocks, values, count);
    case 3:
      return unpackAll<Q4_1>(threads, blocks, values, count);
    case 6:
      return unpackAll<Q5_0>(threads, blocks, values, count);
    case 7:
      return unpackAll<Q5_1>(threads, blocks, values, count);
    case 8:
      return unpackAll<Q8_0>(threads, blocks, values, count);
    case 10:
      return unpackAll<Q2_K>(threads, blocks, values, count);
    case 11:
      return unpackAll<Q3_K>(threads, blocks, values, count);
    case 12:
      return unpackAll<Q4_K>(threads, blocks, values, count);
    case 13:
      return unpackAll<Q5_K>(threads, blocks, values, count);
    case 14:
      return unpackAll<Q6_K>(threads, blocks, values, count);
    case 15:
      return unpackAll<Q8_K>(threads, blocks, values, count);
    case 20:
      return unpackAll<IQ4_NL>(threads, blocks, values, count);
    case 23:
      return unpackAll<IQ4_XS>(threads, blocks, values, count);
    default:
      return unsupported("the type must be one of those that quant/src/ggml/ggml-blocks.ts lists");
  }
}

}  // namespace
QD_EXPORT(dequantizeGgml)
}  // namespace qdylora::QD_LEVEL
