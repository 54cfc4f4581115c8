// Opens NVIDIA's libraries by name and finds their symbols.
#pragma once
#include <string>

namespace qdylora {

// Null, and in `failure` what the system says, where it cannot be opened. A library stays open until the
// process ends: NVIDIA's do not survive being closed.
void* openLibrary(const char* path, std::string& failure);

void* addressOfSymbol(void* library, const char* name);

// Sets `call`, or adds the name to those that are missing.
template <class Call>
void findSymbol(void* library, const char* name, Call& call, std::string& missing) {
  call = reinterpret_cast<Call>(addressOfSymbol(library, name));
  if (!call) missing += (missing.empty() ? "" : " ") + std::string(name);
}

}  // namespace qdylora
