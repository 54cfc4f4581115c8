import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { lion8bitStep, STATE_BLOCK_SIZE } from '@qdylora/tensor';
import { f32, i32, input, output, type CudaDoor } from '../../launch/launch.ts';

export const lion8bitStepKernels = ({ launch }: CudaDoor): BoundKernel[] => [
  bindKernel(lion8bitStep, ({ gradient, rates, mMap }, outputs, { beta1, beta2 }) => {
    const { parameter, mCodes, mAbsmax } = outputs;
    launch({
      module: 'lion-8bit-step',
      kernel: 'lion8bitStep',
      blocks: elementCount(mAbsmax.shape),
      threads: STATE_BLOCK_SIZE,
      arguments: [
        input(gradient),
        input(rates),
        input(mMap),
        output(parameter),
        output(mCodes),
        output(mAbsmax),
        i32(gradient.shape[1]),
        f32(beta1),
        f32(1 - beta1),
        f32(beta2),
        f32(1 - beta2),
      ],
    });
  }),
];
