export type { CubinImage, CubinIndex } from './archive/cubin-index.ts';
export { openCubins, type CubinArchive } from './archive/open-cubins.ts';
export { pickTarget, type ComputeCapability } from './archive/pick-target.ts';
export { cudaKernels } from './kernel-table.ts';
export type { Argument, CudaDoor, Launch } from './launch/launch.ts';
