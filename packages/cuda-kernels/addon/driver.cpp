#include "driver.h"

#include <dlfcn.h>

// glibc 2.34 moved these from libdl and gave them a new version. The old one still exists, and with it an
// addon that was linked on a new system runs on glibc 2.28 too, the oldest that Node supports.
#if defined(__x86_64__) && defined(__GLIBC__)
__asm__(".symver dlopen, dlopen@GLIBC_2.2.5");
__asm__(".symver dlsym, dlsym@GLIBC_2.2.5");
__asm__(".symver dlerror, dlerror@GLIBC_2.2.5");
#endif

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
