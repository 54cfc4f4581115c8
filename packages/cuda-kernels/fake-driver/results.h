// The results (CUresult) that the fake driver returns.
#pragma once

namespace fake {

enum Result : int {
  OK = 0,
  INVALID_VALUE = 1,
  OUT_OF_MEMORY = 2,
  NOT_INITIALIZED = 3,
  NO_DEVICE = 100,
  INVALID_DEVICE = 101,
  INVALID_IMAGE = 200,
  INVALID_CONTEXT = 201,
  NO_BINARY_FOR_GPU = 209,
  INVALID_PTX = 218,
  UNSUPPORTED_PTX_VERSION = 222,
  INVALID_HANDLE = 400,
  NOT_FOUND = 500,
  NOT_READY = 600,
  LAUNCH_FAILED = 719,
  CAPTURE_UNSUPPORTED = 900,
  CAPTURE_INVALIDATED = 901,
};

// After these the device is lost: every later call returns the same.
inline bool isSticky(int result) {
  return result == 214 || (result >= 700 && result <= 719 && result != 701 && result != 704 &&
                           result != 705 && result != 708 && result != 709 && result != 712 && result != 713);
}

}  // namespace fake
