import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { quantizeScales } from '@qdylora/quant';
import { i32, input, output, type CudaDoor } from '../../launch/launch.ts';

/** Scales of a group, each with a thread: GROUP in quantize-scales.cu. */
const GROUP = 256;

/** Infinite scales and NaN are not reported: they make an `offset` that is not finite. */
export const quantizeScalesKernels = ({ launch }: CudaDoor): BoundKernel[] => [
  bindKernel(quantizeScales, ({ absmax }, { codes, nestedAbsmax, offset }) => {
    const blocks = absmax.shape[0];
    launch({
      module: 'quantize-scales',
      kernel: 'scaleMean',
      blocks: 1,
      threads: 1,
      arguments: [input(absmax), output(offset), i32(blocks)],
    });
    launch({
      module: 'quantize-scales',
      kernel: 'quantizeScales',
      blocks: nestedAbsmax.shape[0],
      threads: GROUP,
      arguments: [input(absmax), input(offset), output(codes), output(nestedAbsmax), i32(blocks)],
    });
  }),
];
