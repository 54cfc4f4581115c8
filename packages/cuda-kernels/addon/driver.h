// One opened driver: its calls, and the context that they run in.
#pragma once
#include <atomic>
#include <string>

#include "driver-api.h"

namespace qdylora {

class Driver {
 public:
  DriverCalls calls;
  // Each call first makes it current: another backend, or another library, may use this thread too.
  Context context = nullptr;
  // Waits of other threads (`whenDone`) that have not ended.
  std::atomic<int> waits{0};

  // Opens the library. Returns '' or what the system says of it.
  std::string open(const char* path);
  // Symbols that the library lacks, separated by spaces: those of a driver that is too old.
  std::string missing() const { return missingSymbols; }
  Result enter() const { return context ? calls.cuCtxSetCurrent(context) : 0; }

 private:
  std::string missingSymbols;
};

}  // namespace qdylora
