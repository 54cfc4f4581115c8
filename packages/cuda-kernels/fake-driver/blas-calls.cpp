// The calls of cuBLASLt (blas.h). They count, fail to order and are logged as those of the driver.
#include <cstring>
#include <memory>

#include "api.h"
#include "blas.h"

using namespace fake;

namespace {

// What an algorithm here needs, where the preference allows it.
constexpr std::uint64_t WORKSPACE_BYTES = 1024;

struct Attribute {
  int number;
  void* place;
  std::size_t bytes;
};

int setAttribute(std::initializer_list<Attribute> known, int attribute, const void* value,
                 std::size_t bytes) {
  for (const Attribute& one : known)
    if (one.number == attribute) {
      if (one.bytes != bytes) return BAD_ARGUMENT;
      std::memcpy(one.place, value, bytes);
      return OK;
    }
  return NOT_SUPPORTED;
}

template <class T>
int create(T** handle, T thing, Handles<T>& handles) {
  *handle = handles.add(std::make_shared<T>(thing));
  return OK;
}

// The product that the handles describe; null where one is unknown.
std::shared_ptr<Product> productOf(const void* description, const void* a, const void* b, const void* c,
                                   const void* d) {
  const auto& blas = device().blas;
  const auto found = blas.descriptions.find(description);
  const std::shared_ptr<Layout> layouts[] = {blas.layouts.find(a), blas.layouts.find(b), blas.layouts.find(c),
                                             blas.layouts.find(d)};
  for (const auto& layout : layouts)
    if (!layout || !found) return nullptr;
  return std::make_shared<Product>(Product{*found, *layouts[0], *layouts[1], *layouts[2], *layouts[3]});
}

std::uint64_t bytesOf(const Layout& layout) {
  const std::uint64_t elements =
      static_cast<std::uint64_t>(layout.leading) * (layout.columns - 1) + layout.rows;
  return elements * (layout.type == BF16 ? 2 : 4);
}

bool isOnDevice(std::uint64_t address, std::uint64_t bytes, std::uint64_t alignment) {
  return address % alignment == 0 && device().memory.contains(address, bytes);
}

int checkArrays(const Product& product, const ProductArrays& arrays, const Algorithm& algorithm,
                std::uint64_t workspace, std::size_t workspaceBytes) {
  const bool areThere = isOnDevice(arrays.a, bytesOf(product.a), algorithm.alignment) &&
                        isOnDevice(arrays.b, bytesOf(product.b), algorithm.alignment) &&
                        isOnDevice(arrays.c, bytesOf(product.c), algorithm.alignment) &&
                        isOnDevice(arrays.d, bytesOf(product.d), algorithm.alignment);
  if (!areThere || workspaceBytes < algorithm.workspaceBytes) return BAD_ARGUMENT;
  const std::uint64_t needed = algorithm.workspaceBytes;
  if (needed > 0 && !isOnDevice(workspace, needed, 16)) return BAD_ARGUMENT;
  const std::uint64_t bias = product.description.epilogue == 4 ? product.description.bias : 0;
  return bias && !isOnDevice(bias, product.d.rows * (product.d.type == BF16 ? 2 : 4), 4)
             ? static_cast<int>(BAD_ARGUMENT)
             : static_cast<int>(OK);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) std::size_t cublasLtGetVersion() {
  call("cublasLtGetVersion", [] { return static_cast<int>(OK); });
  return device().settings.cublas;
}

QD_API cublasLtCreate(void** handle) {
  return call("cublasLtCreate", [=] {
    *handle = device().blas.libraries.add(std::make_shared<int>(0));
    return OK;
  });
}

QD_API cublasLtDestroy(void* handle) {
  return release("cublasLtDestroy", [=] {
    device().waitForAll();
    return device().blas.libraries.remove(handle) ? OK : static_cast<int>(NO_BLAS);
  });
}

QD_API cublasLtMatmulDescCreate(Description** handle, int computeType, int scaleType) {
  return call("cublasLtMatmulDescCreate", [=] {
    return create(handle, Description{computeType, scaleType}, device().blas.descriptions);
  });
}

QD_API cublasLtMatmulDescDestroy(void* handle) {
  return release("cublasLtMatmulDescDestroy", [=] {
    return device().blas.descriptions.remove(handle) ? OK : static_cast<int>(BAD_ARGUMENT);
  });
}

QD_API cublasLtMatmulDescSetAttribute(void* handle, int attribute, const void* value, std::size_t bytes) {
  return call("cublasLtMatmulDescSetAttribute", [=] {
    const std::shared_ptr<Description> found = device().blas.descriptions.find(handle);
    if (!found) return static_cast<int>(BAD_ARGUMENT);
    return setAttribute({{3, &found->transposesA, sizeof found->transposesA},
                         {4, &found->transposesB, sizeof found->transposesB},
                         {7, &found->epilogue, sizeof found->epilogue},
                         {8, &found->bias, sizeof found->bias}},
                        attribute, value, bytes);
  });
}

QD_API cublasLtMatrixLayoutCreate(Layout** handle, int type, std::uint64_t rows, std::uint64_t columns,
                                  std::int64_t leading) {
  return call("cublasLtMatrixLayoutCreate",
              [=] { return create(handle, Layout{type, rows, columns, leading}, device().blas.layouts); });
}

QD_API cublasLtMatrixLayoutDestroy(void* handle) {
  return release("cublasLtMatrixLayoutDestroy",
                 [=] { return device().blas.layouts.remove(handle) ? OK : static_cast<int>(BAD_ARGUMENT); });
}

QD_API cublasLtMatmulPreferenceCreate(Preference** handle) {
  return call("cublasLtMatmulPreferenceCreate",
              [=] { return create(handle, Preference{}, device().blas.preferences); });
}

QD_API cublasLtMatmulPreferenceDestroy(void* handle) {
  return release("cublasLtMatmulPreferenceDestroy", [=] {
    return device().blas.preferences.remove(handle) ? OK : static_cast<int>(BAD_ARGUMENT);
  });
}

QD_API cublasLtMatmulPreferenceSetAttribute(void* handle, int attribute, const void* value,
                                            std::size_t bytes) {
  return call("cublasLtMatmulPreferenceSetAttribute", [=] {
    const std::shared_ptr<Preference> found = device().blas.preferences.find(handle);
    if (!found) return static_cast<int>(BAD_ARGUMENT);
    auto& alignments = found->alignments;
    return setAttribute({{1, &found->workspaceBytes, sizeof found->workspaceBytes},
                         {3, &found->reductions, sizeof found->reductions},
                         {5, &alignments[0], sizeof alignments[0]},
                         {6, &alignments[1], sizeof alignments[1]},
                         {7, &alignments[2], sizeof alignments[2]},
                         {8, &alignments[3], sizeof alignments[3]}},
                        attribute, value, bytes);
  });
}

QD_API cublasLtMatmulAlgoGetHeuristic(void* handle, void* description, void* a, void* b, void* c, void* d,
                                      void* preference, int wanted, HeuristicResult* results, int* found) {
  return call("cublasLtMatmulAlgoGetHeuristic", [=] {
    *found = 0;
    const auto& blas = device().blas;
    const std::shared_ptr<Preference> limits = blas.preferences.find(preference);
    const std::shared_ptr<Product> product = productOf(description, a, b, c, d);
    if (!blas.libraries.find(handle) || !limits || !product || wanted < 1)
      return static_cast<int>(BAD_ARGUMENT);
    if (const int problem = checkProduct(*product)) return problem;
    std::uint64_t alignment = 256;
    for (const std::uint32_t one : limits->alignments) alignment = one < alignment ? one : alignment;
    const std::uint64_t bytes = limits->workspaceBytes < WORKSPACE_BYTES ? 0 : WORKSPACE_BYTES;
    // the fastest one splits the depth, where that is allowed
    results[0] = {{hashOf(*product), bytes, limits->reductions & 1u, alignment, {}}, bytes, OK, 1, {}};
    *found = 1;
    return static_cast<int>(OK);
  });
}

QD_API cublasLtMatmul(void* handle, void* description, const float* alpha, std::uint64_t a, void* aLayout,
                      std::uint64_t b, void* bLayout, const float* beta, std::uint64_t c, void* cLayout,
                      std::uint64_t d, void* dLayout, const Algorithm* algorithm, std::uint64_t workspace,
                      std::size_t workspaceBytes, void* stream) {
  return call("cublasLtMatmul", [=] {
    const std::shared_ptr<Product> product = productOf(description, aLayout, bLayout, cLayout, dLayout);
    const std::shared_ptr<Stream> found = device().streamHandles.find(stream);
    if (!device().blas.libraries.find(handle) || !product || !found) return static_cast<int>(BAD_ARGUMENT);
    if (const int problem = checkProduct(*product)) return problem;
    if (algorithm->product != hashOf(*product)) return static_cast<int>(BAD_ARGUMENT);
    const ProductArrays arrays{a, b, c, d, *alpha, *beta};
    if (const int problem = checkArrays(*product, arrays, *algorithm, workspace, workspaceBytes))
      return problem;
    const Algorithm chosen = *algorithm;
    found->add({[=] {
                  if (chosen.workspaceBytes > 0)
                    std::memset(reinterpret_cast<void*>(workspace), 0xff, chosen.workspaceBytes);
                  multiply(*product, arrays, chosen.isSplit ? 1 + device().settings.seed : 0);
                  return static_cast<int>(OK);
                },
                nullptr, 0});
    return static_cast<int>(OK);
  });
}
