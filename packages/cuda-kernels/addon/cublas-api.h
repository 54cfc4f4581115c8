// The part of cuBLASLt that the backend calls, declared here so that no CUDA header is needed. It is the same
// in libcublasLt.so.12 and .13, which are found at run time (cublas.h).
#pragma once
#include <cstddef>
#include <cstdint>

#include "driver-api.h"

namespace qdylora {

using Status = int;  // cublasStatus_t
using Blas = struct OpaqueBlas*;
using MatmulDescription = struct OpaqueMatmulDescription*;
using MatrixLayout = struct OpaqueMatrixLayout*;
using MatmulPreference = struct OpaqueMatmulPreference*;

// Each call: its name, which is its symbol, and its parameters. `const void*` are bytes of the caller: values
// of attributes, alpha and beta, an algorithm (64 bytes), and the results of the heuristic (96 bytes each),
// which the library writes. Other pointers to numbers and to handles are results.
#define QD_CUBLAS_CALLS(X)                                                                                 \
  X(cublasLtCreate, (Blas * handle))                                                                       \
  X(cublasLtDestroy, (Blas handle))                                                                        \
  X(cublasLtMatmulDescCreate, (MatmulDescription * description, int computeType, int scaleType))           \
  X(cublasLtMatmulDescDestroy, (MatmulDescription description))                                            \
  X(cublasLtMatmulDescSetAttribute,                                                                        \
    (MatmulDescription description, int attribute, const void* value, std::size_t bytes))                  \
  X(cublasLtMatrixLayoutCreate,                                                                            \
    (MatrixLayout * layout, int type, std::uint64_t rows, std::uint64_t columns, std::int64_t leading))    \
  X(cublasLtMatrixLayoutDestroy, (MatrixLayout layout))                                                    \
  X(cublasLtMatmulPreferenceCreate, (MatmulPreference * preference))                                       \
  X(cublasLtMatmulPreferenceDestroy, (MatmulPreference preference))                                        \
  X(cublasLtMatmulPreferenceSetAttribute,                                                                  \
    (MatmulPreference preference, int attribute, const void* value, std::size_t bytes))                    \
  X(cublasLtMatmulAlgoGetHeuristic,                                                                        \
    (Blas handle, MatmulDescription description, MatrixLayout a, MatrixLayout b, MatrixLayout c,           \
     MatrixLayout d, MatmulPreference preference, int wanted, const void* results, int* found))            \
  X(cublasLtMatmul,                                                                                        \
    (Blas handle, MatmulDescription description, const void* alpha, DeviceAddress a, MatrixLayout aLayout, \
     DeviceAddress b, MatrixLayout bLayout, const void* beta, DeviceAddress c, MatrixLayout cLayout,       \
     DeviceAddress d, MatrixLayout dLayout, const void* algorithm, DeviceAddress workspace,                \
     std::size_t workspaceBytes, Stream stream))

struct CublasCalls {
#define QD_MEMBER(name, parameters) Status(*name) parameters = nullptr;
  QD_CUBLAS_CALLS(QD_MEMBER)
#undef QD_MEMBER
  // 10000 · major + 100 · minor + patch
  std::size_t (*cublasLtGetVersion)() = nullptr;
};

}  // namespace qdylora
