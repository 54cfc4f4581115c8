// How elementwise kernels divide an array: a thread owns four consecutive elements, which it loads and stores
// at once where the array is aligned. Blocks have any number of threads.
#pragma once
#include "element.h"

template <class T>
struct alignas(4 * sizeof(T)) Four {
  T at[4];
};

// The elements of this thread: `count` of them (0 to 4), from `begin` on, a multiple of 4.
struct Run {
  Size begin;
  int count;
};

__device__ inline Run runOfThread(Size n) {
  const Size begin = 4 * (static_cast<Size>(blockIdx.x) * blockDim.x + threadIdx.x);
  if (begin >= n) return {begin, 0};
  return {begin, n - begin < 4 ? static_cast<int>(n - begin) : 4};
}

template <class T>
__device__ inline bool isOneAccess(const T* array, Run run) {
  return run.count == 4 && reinterpret_cast<Size>(array) % sizeof(Four<T>) == 0;
}

template <class T>
__device__ inline void loadRun(const T* array, Run run, float (&values)[4]) {
  if (isOneAccess(array, run)) {
    const Four<T> four = *reinterpret_cast<const Four<T>*>(array + run.begin);
    for (int i = 0; i < 4; i++) values[i] = toFloat(four.at[i]);
  } else {
    for (int i = 0; i < 4; i++) values[i] = i < run.count ? toFloat(array[run.begin + i]) : 0.f;
  }
}

template <class T>
__device__ inline void storeRun(T* array, Run run, const float (&values)[4]) {
  if (isOneAccess(array, run)) {
    Four<T> four;
    for (int i = 0; i < 4; i++) put(four.at[i], values[i]);
    *reinterpret_cast<Four<T>*>(array + run.begin) = four;
  } else {
    for (int i = 0; i < 4; i++)
      if (i < run.count) put(array[run.begin + i], values[i]);
  }
}
