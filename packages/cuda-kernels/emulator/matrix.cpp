// Small matrices of a warp: ldmatrix and mma.sync, with the fragments of the PTX manual (ISA 8.8, chapter
// "Warp Level Matrix Multiply-Accumulate Instructions").
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
constexpr int QUAD = 4;            // lanes that follow each other; the depth of mma.m8n8k4
constexpr int QUAD_PAIRS = 4;      // of a warp
constexpr int QUAD_PAIR_SUMS = 8;  // of a lane
constexpr int HALF_WARP = 16;
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
    const std::uint64_t* registers = threads[static_cast<std::size_t>(first + lane)].registers;
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
    putSums(i, threads[static_cast<std::size_t>(first + lane)], sums);
  }
}

// Four products at a time, of eight lanes each: 4p … 4p + 3 and 16 + 4p … 16 + 4p + 3. Sources: the left
// factor [8, 4], the right one [4, 8], four elements a lane, and the summand [8, 8], eight of them.
void Block::multiplyQuadPairs(const Instruction& i, int first) {
  float left[QUAD_PAIRS][MATRIX_ROWS][QUAD];
  float right[QUAD_PAIRS][MATRIX_ROWS][QUAD];  // [columns, depth]
  for (int lane = 0; lane < LANES; lane++) {
    const std::uint64_t* registers = threads[static_cast<std::size_t>(first + lane)].registers;
    const int pair = lane / QUAD % QUAD_PAIRS;
    const int outer = lane / HALF_WARP * QUAD;  // the upper lanes have the last four rows and columns
    const int within = lane % QUAD;
    for (int k = 0; k < QUAD; k++) {
      const float a = factorOf(registers[i.sources[k / 2]], k % 2, true);
      const float b = factorOf(registers[i.sources[2 + k / 2]], k % 2, true);
      (i.leftIsByDepth ? left[pair][outer + k][within] : left[pair][outer + within][k]) = a;
      (i.rightIsByDepth ? right[pair][outer + k][within] : right[pair][outer + within][k]) = b;
    }
  }
  for (int lane = 0; lane < LANES; lane++) {
    Thread& thread = threads[static_cast<std::size_t>(first + lane)];
    const int pair = lane / QUAD % QUAD_PAIRS;
    float sums[QUAD_PAIR_SUMS];  // all of them before a register is written
    for (int element = 0; element < QUAD_PAIR_SUMS; element++) {
      const int row = lane / HALF_WARP * QUAD + (lane & 1) + (element & 2);
      const int column = (element & 4) + (lane & 2) + (element & 1);
      double terms[QUAD];
      for (int k = 0; k < QUAD; k++)
        terms[k] = static_cast<double>(left[pair][row][k]) * right[pair][column][k];
      float c;
      std::memcpy(&c, &thread.registers[i.sources[4 + element]], sizeof c);
      sums[element] = addProducts(c, terms, QUAD, launch.approximation);
    }
    putSums(i, thread, sums);
  }
}

void Block::putSums(const Instruction& i, Thread& thread, const float* sums) {
  for (int element = 0; element < i.destinationCount; element++) {
    thread.registers[i.destinations[element]] = 0;
    std::memcpy(&thread.registers[i.destinations[element]], &sums[element], sizeof(float));
  }
}

}  // namespace emulator
