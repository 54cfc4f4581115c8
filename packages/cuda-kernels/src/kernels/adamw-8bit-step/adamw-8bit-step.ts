import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { adamw8bitStep, STATE_BLOCK_SIZE } from '@qdylora/tensor';
import { f32, i32, input, output, type CudaDoor } from '../../launch/launch.ts';

export const adamw8bitStepKernels = ({ launch }: CudaDoor): BoundKernel[] => [
  bindKernel(adamw8bitStep, ({ gradient, rates, mMap, vMap }, outputs, { beta1, beta2 }) => {
    const { parameter, mCodes, mAbsmax, vCodes, vAbsmax } = outputs;
    launch({
      module: 'adamw-8bit-step',
      kernel: 'adamw8bitStep',
      blocks: elementCount(mAbsmax.shape),
      threads: STATE_BLOCK_SIZE,
      arguments: [
        input(gradient),
        input(rates),
        input(mMap),
        input(vMap),
        output(parameter),
        output(mCodes),
        output(mAbsmax),
        output(vCodes),
        output(vAbsmax),
        i32(gradient.shape[1]),
        f32(beta1),
        f32(1 - beta1),
        f32(beta2),
        f32(1 - beta2),
      ],
    });
  }),
];
