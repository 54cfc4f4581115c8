// Computes: the values of packed ggml blocks, as in GGUF files; each struct below is one layout of src/ggml
//   of quant, which describes its fields. The same bits as the reference.
// Owners: a thread owns one value; neighbours share the bytes of a block in the first cache.
// Cost: reads 0.3 to 1.1 bytes and writes 4 per value, and decodes the scales for each value anew: bound by
//   instructions for K types, else by the bandwidth of stores. Models are decoded once, at load.
// Assumes: whole blocks (runOp checks). Any alignment. Products of scales and codes are exact in float32.
// Dropped: sharing scales between the values of a group. Not measured on a device.
#include "element.h"

namespace {

using Bytes = const unsigned char*;

// IEEE half bits: the exponent is rebased by a product, which is right for subnormal numbers too.
__device__ float halfAt(Bytes bytes) {
  const unsigned half = bytes[0] | bytes[1] << 8;
  const unsigned magnitude = (half & 0x7fffu) << 13;
  const float value = (half & 0x7c00u) == 0x7c00u ? __uint_as_float(magnitude | 0x7f800000u)
                                                  : __fmul_rn(__uint_as_float(magnitude), 0x1p112f);
  return half & 0x8000u ? -value : value;
}

__device__ int signedByte(unsigned byte) { return static_cast<int>(byte << 24) >> 24; }
__device__ int nibble(unsigned byte, int which) { return byte >> 4 * which & 15; }

// The levels of IQ4_NL and IQ4_XS, four to a word, in two's complement.
__device__ int iq4Level(int code) {
  const unsigned words[4] = {0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u};
  const unsigned low = code & 4 ? words[1] : words[0];
  const unsigned high = code & 4 ? words[3] : words[2];
  return signedByte((code & 8 ? high : low) >> 8 * (code & 3) & 255u);
}

// Of a block of 32 values whose nibbles are at `codes`: the low ones are values 0 to 15.
__device__ int halfBlockNibble(Bytes codes, int i) { return nibble(codes[i % 16], i / 16); }

// step · code − offset or step · code + offset, rounded as two products that are exact
__device__ float scaled(float step, int code) { return __fmul_rn(step, static_cast<float>(code)); }

struct Q8_0 {
  static constexpr int LENGTH = 32, BYTES = 34;
  __device__ static float valueAt(Bytes block, int i) {
    return scaled(halfAt(block), signedByte(block[2 + i]));
  }
};
struct Q4_0 {
  static constexpr int LENGTH = 32, BYTES = 18;
  __device__ static float valueAt(Bytes block, int i) {
    return scaled(halfAt(block), halfBlockNibble(block + 2, i) - 8);
  }
};
struct Q4_1 {
  static constexpr int LENGTH = 32, BYTES = 20;
  __device__ static float valueAt(Bytes block, int i) {
    return __fadd_rn(scaled(halfAt(block), halfBlockNibble(block + 4, i)), halfAt(block + 2));
  }
};
struct Q5_0 {
  static constexpr int LENGTH = 32, BYTES = 22;
  __device__ static float valueAt(Bytes block, int i) {
    const int fifth = block[2 + i / 8] >> i % 8 & 1;
    return scaled(halfAt(block), (halfBlockNibble(block + 6, i) | fifth << 4) - 16);
  }
};
struct Q5_1 {
  static constexpr int LENGTH = 32, BYTES = 24;
  __device__ static float valueAt(Bytes block, int i) {
    const int fifth = block[4 + i / 8] >> i % 8 & 1;
    return __fadd_rn(scaled(halfAt(block), halfBlockNibble(block + 8, i) | fifth << 4), halfAt(block + 2));
  }
};

// Two bits of value i of 256: runs of 32 values share 32 bytes, from the low bits on.
__device__ int twoBits(Bytes codes, int i) { return codes[i / 128 * 32 + i % 32] >> i / 32 % 4 * 2 & 3; }

struct Q2_K {
  static constexpr int LENGTH = 256, BYTES = 84;
  __device__ static float valueAt(Bytes block, int i) {
    const unsigned pair = block[i / 16];
    const float step = scaled(halfAt(block + 80), nibble(pair, 0));
    return __fsub_rn(scaled(step, twoBits(block + 16, i)), scaled(halfAt(block + 82), nibble(pair, 1)));
  }
};
struct Q3_K {
  static constexpr int LENGTH = 256, BYTES = 110;
  __device__ static float valueAt(Bytes block, int i) {
    const int group = i / 16;
    const Bytes scales = block + 96;
    const int low = nibble(scales[group % 8], group / 8);
    const int scale = (low | (scales[8 + group % 4] >> group / 4 * 2 & 3) << 4) - 32;
    const int third = block[i % 32] >> i / 32 & 1;
    return scaled(scaled(halfAt(block + 108), scale), twoBits(block + 32, i) - (third ? 0 : 4));
  }
};

struct ScaleAndMin {
  int scale;
  int min;
};

// Pair j of eight, six bits each, out of twelve bytes.
__device__ ScaleAndMin sixBitPair(Bytes bytes, int j) {
  if (j < 4) return {bytes[j] & 63, bytes[j + 4] & 63};
  const unsigned low = bytes[j + 4];
  return {nibble(low, 0) | bytes[j - 4] >> 6 << 4, nibble(low, 1) | bytes[j] >> 6 << 4};
}

__device__ float withMin(Bytes block, int i, int code) {
  const ScaleAndMin pair = sixBitPair(block + 4, i / 32);
  return __fsub_rn(scaled(scaled(halfAt(block), pair.scale), code), scaled(halfAt(block + 2), pair.min));
}

struct Q4_K {
  static constexpr int LENGTH = 256, BYTES = 144;
  __device__ static float valueAt(Bytes block, int i) {
    return withMin(block, i, nibble(block[16 + i / 64 * 32 + i % 32], i / 32 % 2));
  }
};
struct Q5_K {
  static constexpr int LENGTH = 256, BYTES = 176;
  __device__ static float valueAt(Bytes block, int i) {
    const int fifth = block[16 + i % 32] >> i / 32 & 1;
    return withMin(block, i, nibble(block[48 + i / 64 * 32 + i % 32], i / 32 % 2) | fifth << 4);
  }
};
struct Q6_K {
  static constexpr int LENGTH = 256, BYTES = 210;
  __device__ static float valueAt(Bytes block, int i) {
    const int half = i / 128, j = i % 128;
    const int low = nibble(block[half * 64 + j % 64], j / 64);
    const int high = block[128 + half * 32 + j % 32] >> j / 32 * 2 & 3;
    const float step = scaled(halfAt(block + 208), signedByte(block[192 + i / 16]));
    return scaled(step, (low | high << 4) - 32);
  }
};
struct Q8_K {
  static constexpr int LENGTH = 256, BYTES = 292;
  __device__ static float valueAt(Bytes block, int i) {
    const unsigned bits = block[0] | block[1] << 8 | block[2] << 16 | static_cast<unsigned>(block[3]) << 24;
    return scaled(__uint_as_float(bits), signedByte(block[4 + i]));
  }
};
struct IQ4_NL {
  static constexpr int LENGTH = 32, BYTES = 18;
  __device__ static float valueAt(Bytes block, int i) {
    return scaled(halfAt(block), iq4Level(halfBlockNibble(block + 2, i)));
  }
};
struct IQ4_XS {
  static constexpr int LENGTH = 256, BYTES = 136;
  __device__ static float valueAt(Bytes block, int i) {
    const int group = i / 32;
    const int high = (block[2] | block[3] << 8) >> 2 * group & 3;
    const int scale = (nibble(block[4 + group / 2], group % 2) | high << 4) - 32;
    return scaled(scaled(halfAt(block), scale), iq4Level(halfBlockNibble(block + 8 + group * 16, i % 32)));
  }
};

template <class Layout>
__device__ void decode(Bytes blocks, float* values, Size n) {
  const Size i = static_cast<Size>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= n) return;
  values[i] =
      Layout::valueAt(blocks + i / Layout::LENGTH * Layout::BYTES, static_cast<int>(i % Layout::LENGTH));
}

}  // namespace

#define QD_DECODE(LAYOUT)                                                          \
  extern "C" __global__ void decode##LAYOUT(Bytes blocks, float* values, Size n) { \
    decode<LAYOUT>(blocks, values, n);                                             \
  }

QD_DECODE(Q8_0)
QD_DECODE(Q4_0)
QD_DECODE(Q4_1)
QD_DECODE(Q5_0)
QD_DECODE(Q5_1)
QD_DECODE(Q2_K)
QD_DECODE(Q3_K)
QD_DECODE(Q4_K)
QD_DECODE(Q5_K)
QD_DECODE(Q6_K)
QD_DECODE(Q8_K)
QD_DECODE(IQ4_NL)
QD_DECODE(IQ4_XS)
