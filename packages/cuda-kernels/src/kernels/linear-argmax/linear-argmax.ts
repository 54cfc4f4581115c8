import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { linearArgmax } from '@qdylora/tensor';
import { i32, input, output, type CudaDoor } from '../../launch/launch.ts';
import { rowThreads } from '../../launch/row-threads.ts';
import { launchProduct, withMatrix } from '../linear/launch-product.ts';

export const linearArgmaxKernels = (door: CudaDoor): BoundKernel[] => [
  bindKernel(linearArgmax, ({ x, weight }, { ids, logits }, { computeDtype }) => {
    const [tokens, out] = [x.shape[0], weight.shape[0]];
    withMatrix(door, { dtype: 'f32', shape: [tokens, out] }, (products) => {
      launchProduct(door, { form: 'Nt', computeDtype, a: x, b: weight, c: products });
      door.launch({
        module: 'linear-argmax',
        kernel: 'firstOfRows',
        blocks: tokens,
        threads: rowThreads(out),
        arguments: [input(products), output(ids), output(logits), i32(out)],
      });
    });
  }),
];
