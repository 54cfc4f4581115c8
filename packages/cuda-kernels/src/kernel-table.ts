import type { BoundKernel } from '@qdylora/contract';
import { activationGateKernels } from './kernels/activation-gate/activation-gate.ts';
import { addKernels } from './kernels/add/add.ts';
import { copyKernels } from './kernels/copy/copy.ts';
import { dequantizeBlockwiseKernels } from './kernels/dequantize-blockwise/dequantize-blockwise.ts';
import { fillKernels } from './kernels/fill/fill.ts';
import { rmsNormKernels } from './kernels/rms-norm/rms-norm.ts';
import { ropeKernels } from './kernels/rope/rope.ts';
import { scaleByKernels } from './kernels/scale-by/scale-by.ts';
import type { CudaDoor } from './launch/launch.ts';

/** Every kernel folder, once. */
const FOLDERS: readonly ((door: CudaDoor) => BoundKernel[])[] = [
  activationGateKernels,
  addKernels,
  copyKernels,
  dequantizeBlockwiseKernels,
  fillKernels,
  rmsNormKernels,
  ropeKernels,
  scaleByKernels,
];

/** All kernels of the package, bound to a device. */
export const cudaKernels = (door: CudaDoor): BoundKernel[] => FOLDERS.flatMap((folder) => folder(door));

/** Names of the ops that have a kernel. */
export const cudaOpNames = (): ReadonlySet<string> =>
  new Set(cudaKernels({ launch() {}, withScratch() {} }).map(({ op }) => op.name));
