// Symbols of a library that is opened at run time.
#pragma once
#include <dlfcn.h>

#include <cstdio>
#include <cstring>

#if defined(__x86_64__) && defined(__GLIBC__)
// Linked on a newer system, the addon would need glibc 2.34, where these moved from libdl to libc.
__asm__(".symver dlopen, dlopen@GLIBC_2.2.5");
__asm__(".symver dlsym, dlsym@GLIBC_2.2.5");
__asm__(".symver dlerror, dlerror@GLIBC_2.2.5");
#endif

namespace qdylora {

/** Opens a library, looks symbols up, and keeps the first thing that goes wrong in `error`. */
class Symbols {
 public:
  Symbols(const char* path, char* error, size_t errorSize) : error_(error), errorSize_(errorSize) {
    error_[0] = '\0';
    // Plugins of the library (Open MPI's) look for its symbols among the global ones.
    library_ = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (library_ == nullptr) std::snprintf(error_, errorSize_, "%s", dlerror());
  }

  bool areAllThere() const { return error_[0] == '\0'; }

  bool has(const char* name) const { return library_ != nullptr && dlsym(library_, name) != nullptr; }

  void* at(const char* name) {
    if (library_ == nullptr) return nullptr;
    void* symbol = dlsym(library_, name);
    if (symbol == nullptr && areAllThere()) std::snprintf(error_, errorSize_, "it has no %s", name);
    return symbol;
  }

  template <class Function>
  void read(Function& function, const char* name) {
    void* symbol = at(name);
    static_assert(sizeof symbol == sizeof function, "a function fits a pointer");
    std::memcpy(&function, &symbol, sizeof symbol);
  }

 private:
  void* library_;
  char* error_;
  size_t errorSize_;
};

}  // namespace qdylora
