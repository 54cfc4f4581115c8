import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { linearCrossEntropy } from '@qdylora/tensor';
import type { CudaDoor } from '../../launch/launch.ts';
import { launchHead, launchLogitGradients } from './head-rows.ts';

export const linearCrossEntropyKernels = (door: CudaDoor): BoundKernel[] => [
  bindKernel(linearCrossEntropy, (inputs, outputs, attributes) =>
    launchHead(door, { ...inputs, ...outputs }, attributes, (chunk) => {
      if (outputs.dx || outputs.dWeight) launchLogitGradients(door, chunk, attributes);
    }),
  ),
];
