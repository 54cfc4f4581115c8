import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { adamwStep } from '@qdylora/tensor';
import { elementwiseGrid } from '../../launch/elementwise-grid.ts';
import { f32, input, output, u64, type CudaDoor } from '../../launch/launch.ts';

export const adamwStepKernels = ({ launch }: CudaDoor): BoundKernel[] => [
  bindKernel(adamwStep, ({ gradient, rates }, { parameter, m, v }, { beta1, beta2, epsilon }) => {
    const n = elementCount(gradient.shape);
    launch({
      module: 'adamw-step',
      kernel: 'adamwStep',
      ...elementwiseGrid(n),
      arguments: [
        input(gradient),
        input(rates),
        output(parameter),
        output(m),
        output(v),
        u64(n),
        f32(beta1),
        f32(1 - beta1),
        f32(beta2),
        f32(1 - beta2),
        f32(epsilon),
      ],
    });
  }),
];
