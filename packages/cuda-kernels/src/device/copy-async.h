// Copies of 16 bytes from global to shared memory, for tiles that are copied while others are multiplied: by
// cp.async from sm_80 on.
#pragma once

__device__ inline unsigned sharedAddress(const void* pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}
#if __CUDA_ARCH__ >= 800
__device__ inline void copyChunkAsync(void* shared, const void* global) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(sharedAddress(shared)), "l"(global));
}
__device__ inline void commitCopies() { asm volatile("cp.async.commit_group;"); }
template <int LEFT>
__device__ inline void waitForCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}
#else
// The thread waits for its load, and has nothing to wait for later.
__device__ inline void copyChunkAsync(void* shared, const void* global) {
  *static_cast<uint4*>(shared) = *static_cast<const uint4*>(global);
}
__device__ inline void commitCopies() {}
template <int LEFT>
__device__ inline void waitForCopies() {}
#endif
