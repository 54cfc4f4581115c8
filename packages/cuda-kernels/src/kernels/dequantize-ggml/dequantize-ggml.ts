import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { dequantizeGgml } from '@qdylora/quant';
import { elementwiseGrid } from '../../launch/elementwise-grid.ts';
import { input, output, u64, type CudaDoor } from '../../launch/launch.ts';

export const dequantizeGgmlKernels = ({ launch }: CudaDoor): BoundKernel[] => [
  bindKernel(dequantizeGgml, ({ blocks }, { values }, { type }) => {
    const n = elementCount(values.shape);
    launch({
      module: 'dequantize-ggml',
      kernel: `decode${type}`,
      ...elementwiseGrid(n, 1),
      arguments: [input(blocks), output(values), u64(n)],
    });
  }),
];
