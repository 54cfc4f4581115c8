import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { lionStep } from '@qdylora/tensor';
import { elementwiseGrid } from '../../launch/elementwise-grid.ts';
import { f32, input, output, u64, type CudaDoor } from '../../launch/launch.ts';

export const lionStepKernels = ({ launch }: CudaDoor): BoundKernel[] => [
  bindKernel(lionStep, ({ gradient, rates }, { parameter, m }, { beta1, beta2 }) => {
    const n = elementCount(gradient.shape);
    launch({
      module: 'lion-step',
      kernel: 'lionStep',
      ...elementwiseGrid(n),
      arguments: [
        input(gradient),
        input(rates),
        output(parameter),
        output(m),
        u64(n),
        f32(beta1),
        f32(1 - beta1),
        f32(beta2),
        f32(1 - beta2),
      ],
    });
  }),
];
