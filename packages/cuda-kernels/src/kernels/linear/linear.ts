import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { linear, linearInputGradient, linearWeightGradient } from '@qdylora/tensor';
import { elementwiseGrid } from '../../launch/elementwise-grid.ts';
import { kindOf } from '../../launch/element-kind.ts';
import { i32, input, output, type CudaDoor } from '../../launch/launch.ts';
import { launchProduct } from './launch-product.ts';

export const linearKernels = (door: CudaDoor): BoundKernel[] => [
  bindKernel(linear, ({ x, weight, bias }, { y }, { computeDtype }) =>
    launchProduct(door, { form: 'Nt', computeDtype, a: x, b: weight, bias, c: y }),
  ),
  bindKernel(linearInputGradient, ({ dy, weight }, { dx }, { computeDtype, accumulate }) =>
    launchProduct(door, {
      form: 'Nn',
      computeDtype,
      a: dy,
      b: weight,
      before: accumulate ? dx : undefined,
      c: dx,
    }),
  ),
  bindKernel(linearWeightGradient, ({ x, dy }, { dWeight, dBias }, { computeDtype }) => {
    if (dWeight) launchProduct(door, { form: 'Tn', computeDtype, a: dy, b: x, c: dWeight });
    if (!dBias) return;
    const [tokens, columns] = dy.shape;
    door.launch({
      module: 'linear',
      kernel: 'addColumnSums',
      ...elementwiseGrid(columns, 1),
      arguments: [input(dy), kindOf(dy), output(dBias), i32(tokens), i32(columns)],
    });
  }),
];
