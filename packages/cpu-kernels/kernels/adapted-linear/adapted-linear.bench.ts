import { adaptedLinear, adaptedLinearBackward } from '@qdylora/lora-dynamic';
import { normalView, packedWeight } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const SHAPES = [
  [576, 576],
  [1536, 576],
  [2048, 2048],
] as const;
const cases = [32, 256, 1024].flatMap((tokens) =>
  SHAPES.flatMap(([rows, cols]) =>
    [1, 8, 64].map((r) => ({
      tokens,
      rows,
      cols,
      r,
      label: `${tokens} x ${rows}x${cols} r${r}`,
      attributes: {
        rows,
        cols,
        blockSize: 64,
        nestedOffset: 0.03,
        computeDtype: 'f32' as const,
        scale: 0.5,
        accumulate: false,
        trainFrom: 0,
        wantsDx: true,
      },
      common: {
        ...packedWeight(1, [rows, cols]),
        x: normalView(1, 'x', [tokens, cols]),
        a: normalView(1, 'a', [r, cols]),
        b: normalView(1, 'b', [r, rows]),
      },
    })),
  ),
);

await benchKernel(
  adaptedLinear,
  cases.map(({ tokens, rows, cols, r, label, attributes, common }) => ({
    label,
    flops: 2 * tokens * (rows * cols + r * (rows + cols)),
    attributes,
    inputs: common,
  })),
);
await benchKernel(
  adaptedLinearBackward,
  cases.map(({ tokens, rows, cols, r, label, attributes, common }) => ({
    label,
    flops: 2 * tokens * (rows * cols + 2 * r * (rows + cols)),
    attributes,
    inputs: { ...common, dy: normalView(1, 'dy', [tokens, rows]), u: normalView(1, 'u', [tokens, r]) },
    suppliedOutputs: { da: normalView(1, 'da', [r, cols]), db: normalView(1, 'db', [r, rows]) },
  })),
);
