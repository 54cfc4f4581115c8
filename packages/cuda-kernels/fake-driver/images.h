// The modules that the fake driver loads: PTX, or a cubin in whose place PTX of the same source runs.
#pragma once
#include <memory>
#include <string>

#include "ptx.h"
#include "settings.h"

namespace fake {

struct LoadedModule {
  emulator::Module module;
};

// A function of a module. The driver's handle points to one.
struct LoadedFunction {
  std::shared_ptr<LoadedModule> module;
  const emulator::Kernel* kernel;
};

// Returns a result, and the module where it is OK.
int loadImage(const char* image, const Settings& settings, std::shared_ptr<LoadedModule>& loaded);

}  // namespace fake
