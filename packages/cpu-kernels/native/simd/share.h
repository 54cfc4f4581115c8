#pragma once
#include "vectors.h"

// How work is shared out among threads.
namespace qdylora::QD_LEVEL {

struct Range {
  Size begin, end;  // [begin, end)
};
// Share `part` of `parts` equal shares of `total`, cut at multiples of `unit`.
QD_INLINE Range shareOf(Size total, int parts, int part, Size unit = 1) {
  const Size units = (total + unit - 1) / unit;
  const Size begin = units * static_cast<Size>(part) / static_cast<Size>(parts) * unit;
  const Size end = units * static_cast<Size>(part + 1) / static_cast<Size>(parts) * unit;
  return {smaller(begin, total), smaller(end, total)};
}

}  // namespace qdylora::QD_LEVEL
