import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { dequantizeBlockwise } from '@qdylora/quant';
import type { CudaDoor } from '../../launch/launch.ts';
import { launchDequantize } from './launch-dequantize.ts';

export const dequantizeBlockwiseKernels = (door: CudaDoor): BoundKernel[] => [
  bindKernel(dequantizeBlockwise, (weight, { values }, attributes) =>
    launchDequantize(door, weight, values, attributes),
  ),
];
