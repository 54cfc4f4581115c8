#include "blas.h"

#include <cstring>
#include <vector>

namespace fake {
namespace {

constexpr std::uint32_t EPILOGUE_NONE = 1;
constexpr std::uint32_t EPILOGUE_BIAS = 4;
constexpr std::size_t PARTS = 4;

float widened(std::uint16_t half) {
  const std::uint32_t bits = static_cast<std::uint32_t>(half) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// To the nearest, ties to even.
std::uint16_t rounded(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if (value != value) return 0x7fc0;
  return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

double elementOf(std::uint64_t address, const Layout& layout, std::uint64_t row, std::uint64_t column) {
  const std::uint64_t index = row + column * static_cast<std::uint64_t>(layout.leading);
  if (layout.type == BF16) return widened(reinterpret_cast<const std::uint16_t*>(address)[index]);
  return reinterpret_cast<const float*>(address)[index];
}

void store(std::uint64_t address, const Layout& layout, std::uint64_t row, std::uint64_t column,
           float value) {
  const std::uint64_t index = row + column * static_cast<std::uint64_t>(layout.leading);
  if (layout.type == BF16)
    reinterpret_cast<std::uint16_t*>(address)[index] = rounded(value);
  else
    reinterpret_cast<float*>(address)[index] = value;
}

std::uint64_t outerOf(const Layout& layout, bool isTransposed) {
  return isTransposed ? layout.columns : layout.rows;
}

// A sum as a kernel that splits the depth makes it: partial sums in float32, added in some order.
float splitSum(const std::vector<double>& terms, std::uint64_t order) {
  float partial[PARTS] = {};
  for (std::size_t k = 0; k < terms.size(); k++)
    partial[k * PARTS / terms.size()] += static_cast<float>(terms[k]);
  float sum = 0;
  for (std::size_t part = 0; part < PARTS; part++) sum += partial[(part * 3 + order) % PARTS];
  return sum;
}

float plainSum(const std::vector<double>& terms) {
  double sum = 0;
  for (const double term : terms) sum += term;
  return static_cast<float>(sum);
}

}  // namespace

int checkProduct(const Product& product) {
  const auto& [description, a, b, c, d] = product;
  const bool fits = outerOf(a, description.transposesA) == d.rows &&
                    outerOf(b, !description.transposesB) == d.columns &&
                    outerOf(a, !description.transposesA) == outerOf(b, description.transposesB) &&
                    c.rows == d.rows && c.columns == d.columns;
  if (!fits) return BAD_ARGUMENT;
  for (const Layout* layout : {&a, &b, &c, &d})
    if (layout->rows == 0 || layout->columns == 0 ||
        layout->leading < static_cast<std::int64_t>(layout->rows))
      return BAD_ARGUMENT;
  const bool isKnown = description.computeType == COMPUTE_F32 && description.scaleType == F32 &&
                       a.type == BF16 && b.type == BF16 && c.type == d.type &&
                       (d.type == F32 || d.type == BF16) &&
                       (description.epilogue == EPILOGUE_NONE || description.epilogue == EPILOGUE_BIAS);
  if (!isKnown) return NOT_SUPPORTED;
  return description.epilogue == EPILOGUE_BIAS && !description.bias ? BAD_ARGUMENT : 0;
}

std::uint64_t hashOf(const Product& product) {
  const auto& [description, a, b, c, d] = product;
  std::uint64_t hash = 1469598103934665603ull;
  const auto add = [&hash](std::uint64_t value) { hash = (hash ^ value) * 1099511628211ull; };
  add(description.transposesA);
  add(description.transposesB);
  add(description.epilogue);
  for (const Layout* layout : {&a, &b, &c, &d}) {
    add(layout->type);
    add(layout->rows);
    add(layout->columns);
    add(layout->leading);
  }
  return hash;
}

void multiply(const Product& product, const ProductArrays& arrays, std::uint64_t order) {
  const auto& [description, a, b, c, d] = product;
  const std::uint64_t depth = outerOf(a, !description.transposesA);
  std::vector<double> terms(depth);
  for (std::uint64_t column = 0; column < d.columns; column++)
    for (std::uint64_t row = 0; row < d.rows; row++) {
      for (std::uint64_t k = 0; k < depth; k++)
        terms[k] =
            (description.transposesA ? elementOf(arrays.a, a, k, row) : elementOf(arrays.a, a, row, k)) *
            (description.transposesB ? elementOf(arrays.b, b, column, k) : elementOf(arrays.b, b, k, column));
      float value = arrays.alpha * (order ? splitSum(terms, order) : plainSum(terms));
      // with a factor of 0, C is not read
      if (arrays.beta != 0) value += arrays.beta * static_cast<float>(elementOf(arrays.c, c, row, column));
      if (description.epilogue == EPILOGUE_BIAS)
        value += static_cast<float>(
            elementOf(description.bias, {d.type, d.rows, 1, static_cast<std::int64_t>(d.rows)}, row, 0));
      store(arrays.d, d, row, column, value);
    }
}

}  // namespace fake
