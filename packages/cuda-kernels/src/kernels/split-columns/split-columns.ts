import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { joinColumns, splitColumns } from '@qdylora/tensor';
import { elementwiseGrid } from '../../launch/elementwise-grid.ts';
import { i32, input, output, u64, type CudaDoor } from '../../launch/launch.ts';

const sum = (widths: readonly number[]): number => widths.reduce((total, width) => total + width, 0);

export const splitColumnsKernels = ({ launch }: CudaDoor): BoundKernel[] => [
  bindKernel(splitColumns, ({ x }, { first, second, third }, { widths }) => {
    const n = elementCount(x.shape);
    launch({
      module: 'split-columns',
      kernel: 'splitColumns',
      ...elementwiseGrid(n, 1),
      arguments: [
        input(x),
        output(first),
        output(second),
        output(third ?? second),
        u64(n),
        i32(sum(widths)),
        i32(widths[0]),
        i32(widths[1]),
      ],
    });
  }),
  bindKernel(joinColumns, (parts, { x }, { widths }) => {
    const n = elementCount(x.shape);
    const given = [parts.first, parts.second, parts.third];
    const anyPart = given.find((part) => part) ?? x;
    launch({
      module: 'split-columns',
      kernel: 'joinColumns',
      ...elementwiseGrid(n, 1),
      arguments: [
        ...given.map((part) => input(part ?? anyPart)),
        output(x),
        u64(n),
        i32(sum(widths)),
        i32(widths[0]),
        i32(widths[1]),
        i32(given.reduce((bits, part, i) => bits | (part ? 1 << i : 0), 0)),
      ],
    });
  }),
];
