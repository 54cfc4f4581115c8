// Registers as numbers, for the files that compute values.
#pragma once
#include <cmath>
#include <cstring>
#include <limits>
#include "ptx.h"

namespace emulator {

using Bits = std::uint64_t;

template <class Float>
Float asFloat(Bits value) {
  Float result;
  std::memcpy(&result, &value, sizeof result);
  return result;
}

template <class Float>
Bits bitsOf(Float value) {
  Bits result = 0;
  std::memcpy(&result, &value, sizeof value);
  return result;
}

inline std::int64_t asSigned(Bits value, int bytes) {
  const int unused = 64 - 8 * bytes;
  return static_cast<std::int64_t>(value << unused) >> unused;
}

template <class Float>
Float flushed(Float value, bool flush) {
  return flush && std::fabs(value) < std::numeric_limits<Float>::min() ? std::copysign(Float(0), value)
                                                                       : value;
}

[[noreturn]] inline void refuse(const Instruction& i) {
  throw Report("the emulator cannot compute `" + i.text + "`");
}

// The result of cvt, in as many bytes as its type or more (convert.cpp).
Bits converted(const Instruction& i, Bits value);

}  // namespace emulator
