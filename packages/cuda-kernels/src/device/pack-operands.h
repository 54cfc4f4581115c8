// Two operands of two bytes in one register, as tensor cores take them.
#pragma once
#include "element.h"

template <class Operand>
__device__ inline unsigned packOperands(float low, float high) {
  return roundTo<Operand>(low).bits | static_cast<unsigned>(roundTo<Operand>(high).bits) << 16;
}
