import { matmulNf4, matmulNf4InputGradient } from '@qdylora/quant';
import { normalView, packedWeight } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const SHAPES = [
  [576, 576],
  [1536, 576],
  [576, 1536],
  [2048, 2048],
] as const;
const cases = [1, 8, 32, 256, 1024].flatMap((tokens) =>
  SHAPES.map(([rows, cols]) => ({
    tokens,
    rows,
    cols,
    label: `${tokens} x ${rows}x${cols}`,
    flops: 2 * tokens * rows * cols,
    attributes: {
      rows,
      cols,
      blockSize: 64,
      nestedOffset: 0.03,
      computeDtype: 'f32' as const,
      accumulate: false,
    },
  })),
);

await benchKernel(
  matmulNf4,
  cases.map(({ tokens, rows, cols, label, flops, attributes }) => ({
    label,
    flops,
    attributes,
    inputs: { x: normalView(1, 'x', [tokens, cols]), ...packedWeight(1, [rows, cols]) },
  })),
);
await benchKernel(
  matmulNf4InputGradient,
  cases.map(({ tokens, rows, cols, label, flops, attributes }) => ({
    label,
    flops,
    attributes,
    inputs: { dy: normalView(1, 'dy', [tokens, rows]), ...packedWeight(1, [rows, cols]) },
  })),
);
