#include "device.h"

#include <cstdio>
#include <cstdlib>

#include "block.h"

namespace fake {
namespace {

constexpr std::uint64_t MOST_INSTRUCTIONS = 100'000'000'000;

}  // namespace

// Other settings begin another test: nothing is left of the last one, and the device is there again.
void Device::readSettings() {
  const char* text = std::getenv("QDYLORA_FAKE_CUDA");
  const std::string current = text ? text : "";
  if (isRead && current == settingsText) return;
  isRead = true;
  settingsText = current;
  settings = parseSettings(current);
  forgetAll();
  streams.seed(settings.seed);
  isInitialized = false;
  contexts = 0;
  retained = 0;
  uses.clear();
  lost = 0;
}

void Device::forgetAll() {
  memory.freeAll();
  pinned.freeAll();
  streams = {};
  streamHandles = {};
  events = {};
  modules = {};
  functions.clear();
  graphs = {};
  executables = {};
  blas = {};
}

int Device::begin(const std::string& name) {
  readSettings();
  const int use = ++uses[name];
  if (name == settings.failingCall && use == settings.failingUse) {
    if (isSticky(settings.failure)) {
      lost = settings.failure;
      streams.clear();
    }
    return settings.failure;
  }
  if (lost) return lost;
  return isInitialized || name == "cuInit" || name == "cuDriverGetVersion" ? OK : NOT_INITIALIZED;
}

void Device::end(const std::string& name, int result) {
  if (settings.logPath.empty()) return;
  const std::string suffix = retained == 0 ? "" : "." + std::to_string(retained);
  std::FILE* log = std::fopen((settings.logPath + suffix).c_str(), "a");
  if (!log) return;
  std::fprintf(log,
               "%s %d memory=%zu pinned=%zu streams=%zu events=%zu modules=%zu graphs=%zu blas=%zu "
               "contexts=%d\n",
               name.c_str(), result, memory.count(), pinned.count(), streamHandles.count(), events.count(),
               modules.count(), graphs.count() + executables.count(), blas.count(), contexts);
  std::fclose(log);
}

int Device::wait(const std::function<bool()>& isEnough) {
  if (lost) return lost;
  const int result = streams.advanceUntil(isEnough, [this](Step& step) {
    memory.open();
    const int outcome = step.run();
    memory.close();
    return outcome;
  });
  if (result) {
    lost = result;
    streams.clear();
  }
  return result;
}

int Device::waitForAll() {
  return wait([this] { return streams.areIdle(); });
}

int Device::launch(const LoadedFunction& function, const unsigned (&grid)[3], const unsigned (&block)[3],
                   const std::vector<std::uint8_t>& parameters) {
  emulator::Launch launch;
  launch.kernel = function.kernel;
  for (int k = 0; k < 3; k++) {
    launch.grid[k] = grid[k];
    launch.block[k] = block[k];
  }
  launch.parameters = parameters;
  launch.arrays = memory.areas();
  launch.seed = settings.seed ? settings.seed + ++launches : 0;
  launch.mostInstructions = MOST_INSTRUCTIONS;
  try {
    emulator::run(launch);
    return OK;
  } catch (const emulator::Report& report) {
    std::fprintf(stderr, "[fake-cuda] %s\n", report.what());
    return LAUNCH_FAILED;
  }
}

}  // namespace fake
