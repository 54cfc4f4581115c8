#include "cublas.h"

#include "open-library.h"

namespace qdylora {

std::string Cublas::open(const char* path) {
  std::string failure;
  void* library = openLibrary(path, failure);
  if (!library) return failure;
#define QD_FIND(name, parameters) findSymbol(library, #name, calls.name, missingSymbols);
  QD_CUBLAS_CALLS(QD_FIND)
#undef QD_FIND
  findSymbol(library, "cublasLtGetVersion", calls.cublasLtGetVersion, missingSymbols);
  return "";
}

}  // namespace qdylora
