import { linear, linearInputGradient, linearWeightGradient } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const SHAPES = [
  [576, 576],
  [1536, 576],
  [576, 1536],
  [2048, 2048],
] as const;
const attributes = { computeDtype: 'f32' as const };
const cases = [1, 32, 256, 1024].flatMap((tokens) =>
  SHAPES.map(([out, columns]) => ({
    tokens,
    out,
    columns,
    label: `${tokens} x ${out}x${columns}`,
    flops: 2 * tokens * out * columns,
  })),
);

await benchKernel(
  linear,
  cases.map(({ tokens, out, columns, label, flops }) => ({
    label,
    flops,
    attributes,
    inputs: { x: normalView(1, 'x', [tokens, columns]), weight: normalView(1, 'w', [out, columns]) },
  })),
);
await benchKernel(
  linearInputGradient,
  cases.map(({ tokens, out, columns, label, flops }) => ({
    label,
    flops,
    attributes: { ...attributes, accumulate: false },
    inputs: { dy: normalView(1, 'dy', [tokens, out]), weight: normalView(1, 'w', [out, columns]) },
  })),
);
await benchKernel(
  linearWeightGradient,
  cases.map(({ tokens, out, columns, label, flops }) => ({
    label,
    flops,
    attributes,
    inputs: { x: normalView(1, 'x', [tokens, columns]), dy: normalView(1, 'dy', [tokens, out]) },
    suppliedOutputs: { dWeight: normalView(1, 'dw', [out, columns]) },
  })),
);
