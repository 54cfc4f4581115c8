export type { CubinImage, CubinIndex } from './archive/cubin-index.ts';
export { openCubins, type CubinArchive } from './archive/open-cubins.ts';
export { pickTarget, type ComputeCapability } from './archive/pick-target.ts';
export { cudaKernels, cudaOpNames } from './kernel-table.ts';
export type { Argument, CudaDoor, Launch } from './launch/launch.ts';
export type { OpenDriverOptions } from './driver/open-driver.ts';
export { listCudaDevices, type CudaDevice, type CudaDevices } from './driver/list-cuda-devices.ts';
export {
  createCudaBackend,
  type CudaBackend,
  type CudaBackendOptions,
} from './backend/create-cuda-backend.ts';
export { createDryCudaBackend, type DryCudaOptions } from './backend/create-dry-cuda-backend.ts';
export { inspectCublas } from './products/inspect-cublas.ts';
export type { CublasInUse, ProductOptions } from './products/open-library.ts';
export type { CudaMeasurements } from './backend/measure.ts';
