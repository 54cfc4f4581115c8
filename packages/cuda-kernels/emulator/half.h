// Numbers of 16 bits: IEEE half.
#pragma once
#include <cmath>
#include <cstdint>

namespace emulator {

inline float fromHalf(std::uint32_t bits) {
  const int exponent = static_cast<int>(bits >> 10 & 31);
  const int mantissa = static_cast<int>(bits & 1023);
  const float sign = bits >> 15 & 1 ? -1.f : 1.f;
  if (exponent == 31) return mantissa ? NAN : sign * INFINITY;
  return sign * (exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -24)
                               : std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25));
}

// To nearest, ties to even. A fraction that is rounded up to the next power of two carries into the exponent.
inline std::uint64_t toHalf(double value) {
  if (std::isnan(value)) return 0x7fff;
  const std::uint64_t sign = std::signbit(value) ? 0x8000 : 0;
  const double size = std::fabs(value);
  if (size >= 65520) return sign | 0x7c00;
  if (size < std::ldexp(1, -14))
    return sign | static_cast<std::uint64_t>(std::nearbyint(std::ldexp(size, 24)));
  const int exponent = std::ilogb(size);
  const auto mantissa = static_cast<std::uint64_t>(std::nearbyint(std::ldexp(size, 10 - exponent)));
  return sign | ((static_cast<std::uint64_t>(exponent + 15) << 10) + mantissa - 1024);
}

}  // namespace emulator
