// float32 and bfloat16 elements behind one pair of functions. Integer arithmetic only, so that every
// architecture rounds alike: cvt.rn.bf16 exists from sm_80 on.
#pragma once

using Size = unsigned long long;

struct BFloat16 {
  unsigned short bits;
};

__device__ inline float toFloat(float value) { return value; }
__device__ inline float toFloat(BFloat16 value) {
  return __uint_as_float(static_cast<unsigned>(value.bits) << 16);
}

// Rounds to nearest, ties to even. NaN stays a quiet NaN.
__device__ inline BFloat16 roundToBfloat16(float value) {
  const unsigned bits = __float_as_uint(value);
  const bool isNan = (bits & 0x7fffffffu) > 0x7f800000u;
  const unsigned rounded = bits + 0x7fffu + (bits >> 16 & 1u);
  return {static_cast<unsigned short>((isNan ? bits | 0x400000u : rounded) >> 16)};
}

__device__ inline void put(float& target, float value) { target = value; }
__device__ inline void put(BFloat16& target, float value) { target = roundToBfloat16(value); }
