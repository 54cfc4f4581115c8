import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { matmulNf4, matmulNf4InputGradient } from '@qdylora/quant';
import type { CudaDoor } from '../../launch/launch.ts';
import { frozenInputGradient, multiplyFrozen } from './frozen-weight.ts';

export const matmulNf4Kernels = (door: CudaDoor): BoundKernel[] => [
  bindKernel(matmulNf4, ({ x, bias, ...weight }, { y }, attributes) =>
    multiplyFrozen(door, weight, { x, bias, y }, attributes),
  ),
  bindKernel(matmulNf4InputGradient, ({ dy, ...weight }, { dx }, attributes) =>
    frozenInputGradient(door, weight, { dy, before: attributes.accumulate ? dx : undefined, dx }, attributes),
  ),
];
