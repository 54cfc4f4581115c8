// cvt: between integers, and numbers of 16, 32 and 64 bits.
#include <algorithm>
#include <cmath>
#include "half.h"
#include "number.h"

namespace emulator {
namespace {

double rounded(double value, Rounding rounding) {
  switch (rounding) {
    case Rounding::nearest:
      return std::nearbyint(value);
    case Rounding::zero:
      return std::trunc(value);
    case Rounding::down:
      return std::floor(value);
    case Rounding::up:
      return std::ceil(value);
  }
  return value;
}

Bits floatToInteger(const Instruction& i, double value) {
  const double whole = std::isnan(value) ? 0 : rounded(value, i.rounding);
  const int bits = 8 * i.type.bytes;
  if (i.type.isSigned()) {
    const double limit = std::ldexp(1, bits - 1);
    if (whole >= limit) return static_cast<Bits>((1ull << (bits - 1)) - 1);
    return static_cast<Bits>(static_cast<std::int64_t>(std::max(whole, -limit)));
  }
  if (whole >= std::ldexp(1, bits)) return ~0ull;
  return static_cast<Bits>(std::max(whole, 0.0));
}

// Of 16, 32 or 64 bits, exact.
double floatOperand(Bits value, int bytes) {
  if (bytes == 2) return fromHalf(static_cast<std::uint32_t>(value));
  return bytes == 4 ? static_cast<double>(asFloat<float>(value)) : asFloat<double>(value);
}

}  // namespace

Bits converted(const Instruction& i, Bits value) {
  const Type& from = i.sourceType;
  if (!i.type.isFloat() && !from.isFloat())
    return from.isSigned() ? static_cast<Bits>(asSigned(value, from.bytes)) : truncated(value, from.bytes);
  if (!i.type.isFloat()) {
    const double x = floatOperand(value, from.bytes);
    return floatToInteger(i, flushed(x, i.flushesSubnormals && from.bytes == 4));
  }
  const bool fromInteger = !from.isFloat();
  if (!fromInteger && !i.roundsToInteger && i.rounding != Rounding::nearest) refuse(i);
  if (i.type.bytes == 4 && fromInteger)  // one rounding, from the integer itself
    return bitsOf(from.isSigned() ? static_cast<float>(asSigned(value, from.bytes))
                                  : static_cast<float>(truncated(value, from.bytes)));
  double x = fromInteger ? (from.isSigned() ? static_cast<double>(asSigned(value, from.bytes))
                                            : static_cast<double>(truncated(value, from.bytes)))
                         : floatOperand(value, from.bytes);
  if (i.roundsToInteger) x = rounded(x, i.rounding);
  if (i.saturates) x = std::isnan(x) ? 0 : std::min(std::max(x, 0.0), 1.0);
  if (i.type.bytes == 2) return toHalf(x);
  return i.type.bytes == 4 ? bitsOf(flushed(static_cast<float>(x), i.flushesSubnormals)) : bitsOf(x);
}

}  // namespace emulator
