#include "driver.h"

#include "open-library.h"

namespace qdylora {

std::string Driver::open(const char* path) {
  std::string failure;
  void* library = openLibrary(path, failure);
  if (!library) return failure;
#define QD_FIND(name, symbol, parameters) findSymbol(library, symbol, calls.name, missingSymbols);
  QD_DRIVER_CALLS(QD_FIND)
  QD_OTHER_CALLS(QD_FIND)
#undef QD_FIND
  return "";
}

}  // namespace qdylora
