import { f32View, i32View } from '@qdylora/contract';
import { rope, ropeTable } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const tokens = 2048;
for (const [heads, headDim] of [
  [9, 64],
  [32, 64],
  [32, 128],
] as const) {
  const pairs = headDim / 2;
  const inputs = {
    x: normalView(1, 'x', [tokens, heads * headDim]),
    cos: normalView(1, 'cos', [tokens, pairs]),
    sin: normalView(1, 'sin', [tokens, pairs]),
  };
  await benchKernel(rope, [
    {
      label: `${tokens} × ${heads}×${headDim}`,
      inputs,
      attributes: { headDim, inverse: false },
      bytes: 8 * tokens * (heads * headDim + pairs),
    },
  ]);
}
const inverseFrequencies = f32View(
  [32],
  Float32Array.from({ length: 32 }, (_, p) => 1e4 ** (-p / 32)),
);
await benchKernel(ropeTable, [
  {
    label: `${tokens} × 32 pairs`,
    inputs: {
      positions: i32View(
        [tokens],
        Array.from({ length: tokens }, (_, t) => t),
      ),
      inverseFrequencies,
    },
    attributes: { scale: 1 },
    bytes: 8 * tokens * 32,
  },
]);
