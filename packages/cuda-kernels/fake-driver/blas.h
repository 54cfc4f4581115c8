// The part of cuBLASLt that the fake driver's library has too: libcublasLt.so.12 is a link to libcuda.so.1.
// It multiplies on the fake device's memory, when the stream gets there, and refuses what cuBLASLt would
// refuse: sizes that do not fit, unaligned arrays, a workspace that is too small, an algorithm of another
// product.
#pragma once
#include <cstddef>
#include <cstdint>

namespace fake {

// cublasStatus_t
enum Status : int {
  NO_BLAS = 1,
  BAD_ARGUMENT = 7,
  EXECUTION_FAILED = 13,
  NOT_SUPPORTED = 15,
};

// cudaDataType, cublasComputeType_t
enum Type : int { F32 = 0, BF16 = 14, COMPUTE_F32 = 68 };

struct Description {
  int computeType;
  int scaleType;
  std::int32_t transposesA = 0;
  std::int32_t transposesB = 0;
  std::uint32_t epilogue = 1;
  std::uint64_t bias = 0;
};

// A matrix by columns, `leading` elements from one to the next.
struct Layout {
  int type;
  std::uint64_t rows;
  std::uint64_t columns;
  std::int64_t leading;
};

struct Preference {
  std::uint64_t workspaceBytes = 0;
  std::uint32_t reductions = 0x1f;  // all schemes
  std::uint32_t alignments[4] = {256, 256, 256, 256};
};

// What an algorithm (cublasLtMatmulAlgo_t) holds here.
struct Algorithm {
  std::uint64_t product;         // a hash of the product that it is for
  std::uint64_t workspaceBytes;  // that it needs
  std::uint64_t isSplit;         // sums of parts of the depth, added in the order in which they end
  std::uint64_t alignment;       // of all arrays
  std::uint64_t unused[4];
};

struct HeuristicResult {
  Algorithm algorithm;
  std::size_t workspaceBytes;
  int state;
  float waves;
  int reserved[4];
};
static_assert(sizeof(Algorithm) == 64 && sizeof(HeuristicResult) == 96, "as in cublasLt.h");

struct Product {
  Description description;
  Layout a, b, c, d;
};

// 0, or why the library has no algorithm for it.
int checkProduct(const Product& product);
std::uint64_t hashOf(const Product& product);

// Addresses of the arrays of one product.
struct ProductArrays {
  std::uint64_t a, b, c, d;
  float alpha, beta;
};
// d = alpha · op(a) · op(b) + beta · c + bias. `order`: of the parts of a split sum; 0: not split.
void multiply(const Product& product, const ProductArrays& arrays, std::uint64_t order);

}  // namespace fake
