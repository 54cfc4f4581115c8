#include "driver.h"

#include <dlfcn.h>

namespace qdylora {

// The library stays open until the process ends: NVIDIA's does not survive being closed.
std::string Driver::open(const char* path) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* reason = dlerror();
    return reason ? reason : "it cannot be opened";
  }
#define QD_FIND(name, symbol, parameters)                                      \
  calls.name = reinterpret_cast<decltype(calls.name)>(dlsym(library, symbol)); \
  if (!calls.name) missingSymbols += (missingSymbols.empty() ? "" : " ") + std::string(symbol);
  QD_DRIVER_CALLS(QD_FIND)
  QD_OTHER_CALLS(QD_FIND)
#undef QD_FIND
  return "";
}

}  // namespace qdylora
