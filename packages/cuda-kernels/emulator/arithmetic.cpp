// Values of instructions. Compiled without contraction of float products and sums and with rounding modes
// respected: a result has the bits that PTX defines.
#include <cfenv>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include "number.h"

namespace emulator {
namespace {

template <class Float>
Float withRounding(Rounding rounding, Float (*compute)(Float, Float, Float), Float a, Float b, Float c) {
  const int mode = rounding == Rounding::down   ? FE_DOWNWARD
                   : rounding == Rounding::up   ? FE_UPWARD
                   : rounding == Rounding::zero ? FE_TOWARDZERO
                                                : FE_TONEAREST;
  if (mode == FE_TONEAREST) return compute(a, b, c);
  std::fesetround(mode);
  volatile Float result = compute(a, b, c);
  std::fesetround(FE_TONEAREST);
  return result;
}

// Moves a result of an approximate function by that many steps in the last place.
template <class Float>
Float moved(Float value, int steps) {
  if (!std::isfinite(value) || value == 0 || steps == 0) return value;
  return std::nextafter(
      value, steps > 0 ? std::numeric_limits<Float>::infinity() : -std::numeric_limits<Float>::infinity());
}

/** The six comparisons that integers and ordered floats share; nothing for all others. */
template <class Number>
std::optional<bool> comparesOrdered(Compare compare, Number a, Number b) {
  switch (compare) {
    case Compare::eq:
      return a == b;
    case Compare::ne:
      return a != b;
    case Compare::lt:
      return a < b;
    case Compare::le:
      return a <= b;
    case Compare::gt:
      return a > b;
    case Compare::ge:
      return a >= b;
    default:
      return std::nullopt;
  }
}

/** equ … geu, which hold for a NaN too, as eq … ge; others stay. */
Compare withoutUnordered(Compare compare) {
  switch (compare) {
    case Compare::equ:
      return Compare::eq;
    case Compare::neu:
      return Compare::ne;
    case Compare::ltu:
      return Compare::lt;
    case Compare::leu:
      return Compare::le;
    case Compare::gtu:
      return Compare::gt;
    case Compare::geu:
      return Compare::ge;
    default:
      return compare;
  }
}

template <class Float>
bool compares(Compare compare, Float a, Float b) {
  const bool unordered = std::isnan(a) || std::isnan(b);
  if (compare == Compare::num) return !unordered;
  if (compare == Compare::nan) return unordered;
  const Compare ordered = withoutUnordered(compare);
  return unordered ? ordered != compare : *comparesOrdered(ordered, a, b);
}

template <class Integer>
bool comparesIntegers(const Instruction& i, Integer a, Integer b) {
  const std::optional<bool> result = comparesOrdered(i.compare, a, b);
  if (!result) refuse(i);
  return *result;
}

template <class Float>
Bits evaluateFloat(const Instruction& i, const Bits (&operands)[MOST_OPERANDS], int approximation) {
  const bool flush = i.flushesSubnormals;
  const Float a = flushed(asFloat<Float>(operands[0]), flush);
  const Float b = flushed(asFloat<Float>(operands[1]), flush);
  const Float c = flushed(asFloat<Float>(operands[2]), flush);
  const int off = i.isApproximate ? approximation : 0;
  Float result;
  switch (i.opcode) {
    case Opcode::abs:
      result = std::fabs(a);
      break;
    case Opcode::add:
      result = a + b;
      break;
    case Opcode::copysign:
      result = std::copysign(b, a);
      break;
    case Opcode::div:
      result = moved(a / b, off);
      break;
    case Opcode::ex2:
      result = moved(static_cast<Float>(std::exp2(static_cast<double>(a))), off);
      break;
    case Opcode::fma:
      result = withRounding<Float>(
          i.rounding, [](Float x, Float y, Float z) { return std::fma(x, y, z); }, a, b, c);
      break;
    case Opcode::lg2:
      result = moved(static_cast<Float>(std::log2(static_cast<double>(a))), off);
      break;
    case Opcode::max:
      result = std::fmax(a, b);
      break;
    case Opcode::min:
      result = std::fmin(a, b);
      break;
    case Opcode::mul:
      result = a * b;
      break;
    case Opcode::neg:
      result = -a;
      break;
    case Opcode::rcp:
      result = moved(1 / a, off);
      break;
    case Opcode::rsqrt:
      result = moved(static_cast<Float>(1 / std::sqrt(static_cast<double>(a))), off);
      break;
    case Opcode::sqrt:
      result = moved(std::sqrt(a), off);
      break;
    case Opcode::sub:
      result = a - b;
      break;
    default:
      refuse(i);
  }
  return bitsOf(flushed(result, flush));
}

Bits multiplied(const Instruction& i, Bits a, Bits b) {
  const int bytes = i.type.bytes;
  if (i.type.isSigned()) {
    const __int128 product = static_cast<__int128>(asSigned(a, bytes)) * asSigned(b, bytes);
    return static_cast<Bits>(i.part == Part::high ? product >> 8 * bytes : product);
  }
  const unsigned __int128 product = static_cast<unsigned __int128>(truncated(a, bytes)) * truncated(b, bytes);
  return static_cast<Bits>(i.part == Part::high ? product >> 8 * bytes : product);
}

Bits divided(const Instruction& i, Bits a, Bits b) {
  const int bytes = i.type.bytes;
  if (truncated(b, bytes) == 0) throw Report("a division by zero in `" + i.text + "`");
  const bool remainder = i.opcode == Opcode::rem;
  if (i.type.isSigned()) {
    const std::int64_t x = asSigned(a, bytes);
    const std::int64_t y = asSigned(b, bytes);
    if (y == -1) return remainder ? 0 : static_cast<Bits>(0) - static_cast<Bits>(x);
    return static_cast<Bits>(remainder ? x % y : x / y);
  }
  const Bits x = truncated(a, bytes);
  const Bits y = truncated(b, bytes);
  return remainder ? x % y : x / y;
}

Bits shifted(const Instruction& i, Bits a, Bits b) {
  const Bits width = 8 * i.type.bytes;
  const Bits count = truncated(b, 4);
  if (i.opcode == Opcode::shl) return count >= width ? 0 : a << count;
  if (i.type.isSigned())
    return static_cast<Bits>(asSigned(a, i.type.bytes) >> (count < width ? count : width - 1));
  return count >= width ? 0 : truncated(a, i.type.bytes) >> count;
}

Bits fieldMask(Bits length) { return length >= 64 ? ~0ull : (1ull << length) - 1; }

// bfe: the field of a at position b with length c. bfi: b with the field at c, of length d, replaced by a.
Bits bitField(const Instruction& i, const Bits (&operands)[MOST_OPERANDS]) {
  const int width = 8 * i.type.bytes;
  if (i.opcode == Opcode::bfi) {
    const Bits position = operands[2] & 255;
    if (position >= static_cast<Bits>(width)) return operands[1];
    const Bits mask = fieldMask(operands[3] & 255) << position;
    return (operands[1] & ~mask) | (operands[0] << position & mask);
  }
  if (i.type.isSigned()) refuse(i);
  const Bits position = operands[1] & 255;
  return position >= 64 ? 0 : truncated(operands[0], i.type.bytes) >> position & fieldMask(operands[2] & 255);
}

Bits permuted(const Bits (&operands)[MOST_OPERANDS]) {
  const Bits bytes = truncated(operands[0], 4) | truncated(operands[1], 4) << 32;
  Bits result = 0;
  for (int k = 0; k < 4; k++) {
    const Bits selector = operands[2] >> 4 * k & 15;
    const Bits byte = bytes >> 8 * (selector & 7) & 255;
    const Bits value = selector & 8 ? (byte & 128 ? 255 : 0) : byte;
    result |= value << 8 * k;
  }
  return result;
}

Bits evaluateInteger(const Instruction& i, const Bits (&operands)[MOST_OPERANDS]) {
  const int bytes = i.type.bytes;
  const Bits a = operands[0];
  const Bits b = operands[1];
  switch (i.opcode) {
    case Opcode::abs:
      return static_cast<Bits>(std::llabs(asSigned(a, bytes)));
    case Opcode::add:
      return a + b;
    case Opcode::bitAnd:
      return a & b;
    case Opcode::bitNot:
      return i.type.kind == Kind::predicate ? !a : ~a;
    case Opcode::bitOr:
      return a | b;
    case Opcode::bitXor:
      return a ^ b;
    case Opcode::bfe:
    case Opcode::bfi:
      return bitField(i, operands);
    case Opcode::clz:
      return truncated(a, bytes) ? __builtin_clzll(truncated(a, bytes)) - (64 - 8 * bytes) : 8 * bytes;
    case Opcode::div:
    case Opcode::rem:
      return divided(i, a, b);
    case Opcode::mad:
      return multiplied(i, a, b) + operands[2];
    case Opcode::max:
      if (i.type.isSigned()) return asSigned(a, bytes) > asSigned(b, bytes) ? a : b;
      return truncated(a, bytes) > truncated(b, bytes) ? a : b;
    case Opcode::min:
      if (i.type.isSigned()) return asSigned(a, bytes) < asSigned(b, bytes) ? a : b;
      return truncated(a, bytes) < truncated(b, bytes) ? a : b;
    case Opcode::mul:
      return multiplied(i, a, b);
    case Opcode::neg:
      return static_cast<Bits>(0) - a;
    case Opcode::popc:
      return static_cast<Bits>(__builtin_popcountll(truncated(a, bytes)));
    case Opcode::prmt:
      return permuted(operands);
    case Opcode::shl:
    case Opcode::shr:
      return shifted(i, a, b);
    case Opcode::sub:
      return a - b;
    default:
      refuse(i);
  }
}

Bits comparison(const Instruction& i, const Bits (&operands)[MOST_OPERANDS]) {
  const Bits a = operands[0];
  const Bits b = operands[1];
  const int bytes = i.type.bytes;
  bool result;
  if (i.type.isFloat())
    result = bytes == 4 ? compares(i.compare, asFloat<float>(a), asFloat<float>(b))
                        : compares(i.compare, asFloat<double>(a), asFloat<double>(b));
  else if (i.type.isSigned())
    result = comparesIntegers(i, asSigned(a, bytes), asSigned(b, bytes));
  else
    result = comparesIntegers(i, truncated(a, bytes), truncated(b, bytes));
  const bool other = operands[2] != 0;
  switch (i.combine) {
    case Combine::none:
      return result;
    case Combine::bitAnd:
      return result && other;
    case Combine::bitOr:
      return result || other;
    case Combine::bitXor:
      return result != other;
  }
  return result;
}

}  // namespace

Bits truncated(Bits value, int bytes) { return bytes == 8 ? value : value & ((1ull << 8 * bytes) - 1); }

Bits evaluate(const Instruction& i, const Bits (&operands)[MOST_OPERANDS], int approximation) {
  const bool isHalf = i.type.isFloat() && i.type.bytes == 2;
  if (i.type.bytes == 0 || (isHalf && i.opcode != Opcode::cvt)) refuse(i);
  switch (i.opcode) {
    case Opcode::mov:
      return truncated(operands[0], i.type.bytes);
    case Opcode::selp:
      return truncated(operands[2] ? operands[0] : operands[1], i.type.bytes);
    case Opcode::setp:
      return comparison(i, operands);
    case Opcode::cvt:
      return truncated(converted(i, operands[0]), i.type.bytes);
    case Opcode::cvta:
      if (!i.isOfSharedSpace) return operands[0];
      return i.isToSpace ? operands[0] - SHARED_WINDOW : operands[0] + SHARED_WINDOW;
    default:
      break;
  }
  if (i.type.isFloat())
    return i.type.bytes == 4 ? evaluateFloat<float>(i, operands, approximation)
                             : evaluateFloat<double>(i, operands, approximation);
  const int bytes = i.part == Part::wide                                  ? 2 * i.type.bytes
                    : i.opcode == Opcode::popc || i.opcode == Opcode::clz ? 4
                                                                          : i.type.bytes;
  return truncated(evaluateInteger(i, operands), bytes);
}

}  // namespace emulator
