// How each call of the API is written: under the lock of the device, counted, failed to order, and logged.
#pragma once
#include <string>

#include "device.h"

#define QD_API extern "C" __attribute__((visibility("default"))) int

namespace fake {

Device& device();

// A call: `body` returns its result.
template <class Body>
int call(const char* name, const Body& body) {
  std::lock_guard<std::recursive_mutex> lock(device().mutex);
  int result = device().begin(name);
  if (result == OK) result = body();
  device().end(name, result);
  return result;
}

// A call that returns something to the driver. On a lost device it fails, and returns it nevertheless.
template <class Body>
int release(const char* name, const Body& body) {
  std::lock_guard<std::recursive_mutex> lock(device().mutex);
  int result = device().begin(name);
  if (result == OK || result == device().lostBy()) {
    const int outcome = body();
    if (result == OK) result = outcome;
  }
  device().end(name, result);
  return result;
}

}  // namespace fake
