// Elements of arrays behind one set of functions: float32, bfloat16 and float16.
#pragma once

using Size = unsigned long long;

struct BFloat16 {
  unsigned short bits;
};
struct Float16 {
  unsigned short bits;
};

// Types of elements that a kernel learns when it runs, in the order of ELEMENT_KINDS in
// src/launch/element-kind.ts.
enum ElementKind { FLOAT32, BFLOAT16, FLOAT16 };

template <class T>
__device__ constexpr int kindOf();
template <>
__device__ constexpr int kindOf<float>() {
  return FLOAT32;
}
template <>
__device__ constexpr int kindOf<BFloat16>() {
  return BFLOAT16;
}
template <>
__device__ constexpr int kindOf<Float16>() {
  return FLOAT16;
}

__device__ inline float toFloat(float value) { return value; }
__device__ inline float toFloat(BFloat16 value) {
  return __uint_as_float(static_cast<unsigned>(value.bits) << 16);
}
__device__ inline float toFloat(Float16 value) {
  float wide;
  asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(value.bits));
  return wide;
}

// All round to nearest, ties to even; NaN stays NaN. bfloat16 by integer arithmetic, so that every
// architecture rounds alike: cvt.rn.bf16 exists from sm_80 on.
__device__ inline void put(float& target, float value) { target = value; }
__device__ inline void put(BFloat16& target, float value) {
  const unsigned bits = __float_as_uint(value);
  const bool isNan = (bits & 0x7fffffffu) > 0x7f800000u;
  const unsigned rounded = bits + 0x7fffu + (bits >> 16 & 1u);
  target.bits = static_cast<unsigned short>((isNan ? bits | 0x400000u : rounded) >> 16);
}
__device__ inline void put(Float16& target, float value) {
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(target.bits) : "f"(value));
}

template <class T>
__device__ inline T roundTo(float value) {
  T rounded;
  put(rounded, value);
  return rounded;
}

// The number as an operand of a product that computes in this type.
__device__ inline float asOperand(int kind, float value) {
  if (kind == BFLOAT16) return toFloat(roundTo<BFloat16>(value));
  return kind == FLOAT16 ? toFloat(roundTo<Float16>(value)) : value;
}

// Both types of two bytes go one way, and a selection is at its end: a branch for each would be repeated by
// every element of an unrolled loop.
__device__ inline float widened(int kind, unsigned short bits) {
  const float bfloat16 = toFloat(BFloat16{bits});
  const float float16 = toFloat(Float16{bits});
  return kind == BFLOAT16 ? bfloat16 : float16;
}
__device__ inline unsigned short narrowed(int kind, float value) {
  const unsigned short bfloat16 = roundTo<BFloat16>(value).bits;
  const unsigned short float16 = roundTo<Float16>(value).bits;
  return kind == BFLOAT16 ? bfloat16 : float16;
}

__device__ inline float elementOf(const void* array, int kind, Size at) {
  return kind == FLOAT32 ? static_cast<const float*>(array)[at]
                         : widened(kind, static_cast<const unsigned short*>(array)[at]);
}
__device__ inline void putElement(void* array, int kind, Size at, float value) {
  if (kind == FLOAT32)
    static_cast<float*>(array)[at] = value;
  else
    static_cast<unsigned short*>(array)[at] = narrowed(kind, value);
}

// Defines a kernel for each type of elements: QD_FOR_ELEMENTS(QD_COPY, copy) is QD_COPY(copyF32, float) and
// so on, with the suffixes of src/launch/dtype-suffix.ts.
#define QD_FOR_ELEMENTS(DEFINE, NAME) \
  DEFINE(NAME##F32, float)            \
  DEFINE(NAME##Bf16, BFloat16)        \
  DEFINE(NAME##F16, Float16)
