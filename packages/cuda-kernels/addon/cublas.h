// One opened cuBLASLt. Its calls run in the context of its driver.
#pragma once
#include <string>

#include "cublas-api.h"

namespace qdylora {

class Cublas {
 public:
  CublasCalls calls;

  // Opens the library. Returns '' or what the system says of it.
  std::string open(const char* path);
  // Symbols that the library lacks, separated by spaces.
  std::string missing() const { return missingSymbols; }

 private:
  std::string missingSymbols;
};

}  // namespace qdylora
