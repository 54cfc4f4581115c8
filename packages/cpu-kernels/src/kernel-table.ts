import type { BoundKernel } from '@qdylora/contract';
import { linearKernels } from '../kernels/linear/linear.ts';
import { causalAttentionKernels } from '../kernels/causal-attention/causal-attention.ts';
import { scaleByKernels } from '../kernels/scale-by/scale-by.ts';
import type { CpuDoor } from './addon-functions.ts';

/** Every kernel folder, once. */
const FOLDERS: readonly ((door: CpuDoor) => BoundKernel[])[] = [
  causalAttentionKernels, linearKernels, scaleByKernels,
];

export const cpuKernels = (door: CpuDoor): BoundKernel[] => FOLDERS.flatMap((folder) => folder(door));
