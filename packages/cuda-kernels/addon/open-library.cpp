#include "open-library.h"

#include <dlfcn.h>

// glibc 2.34 moved these from libdl and gave them a new version. The old one still exists, and with it an
// addon that was linked on a new system runs on glibc 2.28 too, the oldest that Node supports.
#if defined(__x86_64__) && defined(__GLIBC__)
__asm__(".symver dlopen, dlopen@GLIBC_2.2.5");
__asm__(".symver dlsym, dlsym@GLIBC_2.2.5");
__asm__(".symver dlerror, dlerror@GLIBC_2.2.5");
#endif

namespace qdylora {

void* openLibrary(const char* path, std::string& failure) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library) return library;
  const char* reason = dlerror();
  failure = reason ? reason : "it cannot be opened";
  return nullptr;
}

void* addressOfSymbol(void* library, const char* name) { return dlsym(library, name); }

}  // namespace qdylora
