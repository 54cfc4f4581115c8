// Small matrices of a warp: ldmatrix and mma.sync, with the fragments of the PTX manual.
#include <cmath>
#include <cstring>
#include "block.h"
#include "half.h"

namespace emulator {
namespace {

constexpr int LANES = 32;
constexpr int ROWS = 16;    // of the left factor and of the result
constexpr int COLUMNS = 8;  // of the right factor and of the result
constexpr int MOST_DEPTH = 16;
constexpr int MATRIX_ROWS = 8;
constexpr std::size_t MATRIX_ROW_BYTES = 16;
constexpr int KEPT_BITS = 24;  // of a term, below the largest exponent of its sum

float factorOf(std::uint64_t word, int which, bool isHalf) {
  const std::uint32_t bits = static_cast<std::uint32_t>(word >> 16 * which) & 0xffff;
  if (isHalf) return fromHalf(bits);
  const std::uint32_t wide = bits << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

float towardZero(double value) {
  const float rounded = static_cast<float>(value);
  return std::fabs(static_cast<double>(rounded)) > std::fabs(value) ? std::nextafter(rounded, 0.f) : rounded;
}

// c + Σ terms as a tensor core may add them: every term loses its bits below 2^-24 of the largest one, and
// so does the sum.
float truncatedSum(float c, const double* terms, int count) {
  double largest = std::fabs(static_cast<double>(c));
  for (int k = 0; k < count; k++) largest = std::max(largest, std::fabs(terms[k]));
  if (largest == 0 || !std::isfinite(largest)) {
    double sum = c;
    for (int k = 0; k < count; k++) sum += terms[k];
    return static_cast<float>(sum);
  }
  const int unit = std::ilogb(largest) - KEPT_BITS;
  const auto kept = [unit](double x) { return std::ldexp(std::trunc(std::ldexp(x, -unit)), unit); };
  double sum = kept(c);
  for (int k = 0; k < count; k++) sum += kept(terms[k]);
  return towardZero(sum);
}

// The hardware's order is not public. `approximation` chooses among three: 0: all terms exactly, rounded
// once to nearest; 1: truncated, all terms at once; -1: truncated, by fours.
float addProducts(float c, const double* terms, int count, int approximation) {
  if (approximation == 0) {
    double sum = c;
    for (int k = 0; k < count; k++) sum += terms[k];
    return static_cast<float>(sum);
  }
  const int step = approximation > 0 ? count : 4;
  for (int k = 0; k < count; k += step) c = truncatedSum(c, terms + k, step);
  return c;
}

}  // namespace

// Lane 8k + j gives the address of row j of matrix k. Register k of a lane gets two elements of matrix k:
// of row lane / 4, or of column lane / 4 where transposed.
void Block::loadMatrices(const Instruction& i, int first) {
  std::uint16_t matrices[4][MATRIX_ROWS][MATRIX_ROWS];
  for (int lane = 0; lane < MATRIX_ROWS * i.elements; lane++) {
    Thread& thread = threads[static_cast<std::size_t>(first + lane)];
    std::uint64_t address = addressOf(thread, i, 0);
    try {
      std::memcpy(matrices[lane / MATRIX_ROWS][lane % MATRIX_ROWS],
                  areaOf(Space::shared, address).read(address, MATRIX_ROW_BYTES, accessOf(thread), false),
                  MATRIX_ROW_BYTES);
    } catch (const Report& report) {
      fail(thread, report.what());
    }
  }
  for (int lane = 0; lane < LANES; lane++) {
    const int outer = lane / 4;
    const int inner = lane % 4 * 2;
    std::uint64_t* registers = threads[static_cast<std::size_t>(first + lane)].registers;
    for (int k = 0; k < i.elements; k++) {
      const auto& matrix = matrices[k];
      const std::uint32_t low = i.isTransposed ? matrix[inner][outer] : matrix[outer][inner];
      const std::uint32_t high = i.isTransposed ? matrix[inner + 1][outer] : matrix[outer][inner + 1];
      registers[i.destinations[k]] = low | high << 16;
    }
  }
}

// Sources: the left factor [16, depth], the right one [depth, 8], the summand [16, 8], four elements a lane.
void Block::multiply(const Instruction& i, int first) {
  const int leftRegisters = i.depth / 4;
  const int rightRegisters = i.depth / 8;
  float left[ROWS][MOST_DEPTH];
  float right[MOST_DEPTH][COLUMNS];
  for (int lane = 0; lane < LANES; lane++) {
    const std::uint64_t* registers = threads[static_cast<std::size_t>(first + lane)].registers;
    const int outer = lane / 4;
    const int inner = lane % 4 * 2;
    for (int k = 0; k < leftRegisters; k++)
      for (int half = 0; half < 2; half++)
        left[outer + k % 2 * 8][inner + k / 2 * 8 + half] =
            factorOf(registers[i.sources[k]], half, i.hasHalfFactors);
    for (int k = 0; k < rightRegisters; k++)
      for (int half = 0; half < 2; half++)
        right[inner + k * 8 + half][outer] =
            factorOf(registers[i.sources[leftRegisters + k]], half, i.hasHalfFactors);
  }
  for (int lane = 0; lane < LANES; lane++) {
    std::uint64_t* registers = threads[static_cast<std::size_t>(first + lane)].registers;
    float sums[4];  // all of them before a register is written: the summand may be in the same ones
    for (int element = 0; element < 4; element++) {
      const int row = lane / 4 + element / 2 * 8;
      const int column = lane % 4 * 2 + element % 2;
      double terms[MOST_DEPTH];
      for (int k = 0; k < i.depth; k++) terms[k] = static_cast<double>(left[row][k]) * right[k][column];
      float c;
      std::memcpy(&c, &registers[i.sources[leftRegisters + rightRegisters + element]], sizeof c);
      sums[element] = addProducts(c, terms, i.depth, launch.approximation);
    }
    for (int element = 0; element < 4; element++) {
      registers[i.destinations[element]] = 0;
      std::memcpy(&registers[i.destinations[element]], &sums[element], sizeof(float));
    }
  }
}

}  // namespace emulator
