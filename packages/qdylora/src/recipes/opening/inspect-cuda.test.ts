import { expect, it } from 'vitest';
import { importCudaKernels } from './inspect-cuda.ts';

const failing = (code: string, message: string) => (): Promise<never> =>
  Promise.reject(Object.assign(new Error(message), { code }));

it.each([
  ['ERR_MODULE_NOT_FOUND', "Cannot find package '@qdylora/cuda-kernels' imported from /app/dist/main.js"],
  [
    'MODULE_NOT_FOUND',
    'qdylora tried to access @qdylora/cuda-kernels (a peer dependency) but it is not provided',
  ],
  [
    'MODULE_NOT_FOUND',
    "qdylora tried to access @qdylora/cuda-kernels, but it isn't declared in its dependencies",
  ],
])('the CUDA package is not installed where the loader says %s: %s', async (code, message) => {
  expect(await importCudaKernels(failing(code, message))).toBeNull();
});

it.each([
  ['MODULE_NOT_FOUND', "Cannot find module './qdylora_cuda.node'"],
  ['ERR_DLOPEN_FAILED', 'libcuda.so.1: cannot open shared object file'],
])('another failure of the loader is not hidden: %s: %s', async (code, message) => {
  await expect(importCudaKernels(failing(code, message))).rejects.toThrow(message);
});
