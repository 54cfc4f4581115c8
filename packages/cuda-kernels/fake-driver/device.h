// All that the fake driver knows: one device, shared by all contexts of the process.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "blas.h"
#include "device-memory.h"
#include "images.h"
#include "results.h"
#include "settings.h"
#include "streams.h"

namespace fake {

// Things that the driver has handed out, by their handles.
template <class T>
class Handles {
 public:
  T* add(std::shared_ptr<T> thing) {
    T* handle = thing.get();
    things[handle] = std::move(thing);
    return handle;
  }
  // Null where there is none.
  std::shared_ptr<T> find(const void* handle) const {
    const auto found = things.find(handle);
    return found == things.end() ? nullptr : found->second;
  }
  bool remove(const void* handle) { return things.erase(handle) > 0; }
  std::size_t count() const { return things.size(); }

 private:
  std::map<const void*, std::shared_ptr<T>> things;
};

// What cuBLASLt has handed out.
struct BlasHandles {
  Handles<int> libraries;
  Handles<Description> descriptions;
  Handles<Layout> layouts;
  Handles<Preference> preferences;
  std::size_t count() const {
    return libraries.count() + descriptions.count() + layouts.count() + preferences.count();
  }
};

class Device {
 public:
  std::recursive_mutex mutex;
  Settings settings;
  DeviceMemory memory;
  PinnedMemory pinned;
  Streams streams;
  Handles<Stream> streamHandles;
  Handles<Event> events;
  Handles<LoadedModule> modules;
  Handles<Graph> graphs;
  Handles<Graph> executables;
  BlasHandles blas;
  std::map<const void*, std::shared_ptr<LoadedFunction>> functions;
  bool isInitialized = false;
  int contexts = 0;  // how often a primary one was retained
  int retained = 0;  // the device whose context was retained last

  // Begins a call: counts it, and makes it fail where a test or a lost device wants that.
  int begin(const std::string& name);
  void end(const std::string& name, int result);
  int wait(const std::function<bool()>& isEnough);
  int waitForAll();
  // Runs a kernel now. `parameters` as the launch packed them.
  int launch(const LoadedFunction& function, const unsigned (&grid)[3], const unsigned (&block)[3],
             const std::vector<std::uint8_t>& parameters);
  int lostBy() const { return lost; }
  void forgetAll();

 private:
  bool isRead = false;
  std::string settingsText;
  std::map<std::string, int> uses;
  std::uint64_t launches = 0;
  int lost = 0;
  void readSettings();
};

}  // namespace fake
