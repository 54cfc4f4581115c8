// What a test asks of the fake driver, in the environment variable QDYLORA_FAKE_CUDA: words such as
// `capability=8.6 memory=1048576 seed=3 driver=12090 devices=1 fail=cuMemAlloc_v2:3:2 log=/tmp/log`.
// - capability, memory (bytes), devices, driver (as cuDriverGetVersion says it), cublas (as
//   cublasLtGetVersion does): of the machine
// - seed: of the order in which streams and threads run
// - fail=CALL:N:RESULT: the n-th use of the call returns the result and does nothing
// - log=FILE: a line for each call: its name, its result, and how many of each kind of thing are alive then.
//   From when device n > 0 is retained, FILE.n
// - pageable=1: copies may use any memory of the host, as a driver allows, and are done when they return
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace fake {

struct Settings {
  int capability = 80;
  std::size_t memoryBytes = std::size_t{1} << 30;
  int devices = 1;
  int driver = 12090;
  std::size_t cublas = 120905;
  std::uint64_t seed = 1;
  std::string failingCall;
  int failingUse = 0;
  int failure = 0;
  std::string logPath;
  bool isPageable = false;
};

Settings parseSettings(const std::string& text);

}  // namespace fake
