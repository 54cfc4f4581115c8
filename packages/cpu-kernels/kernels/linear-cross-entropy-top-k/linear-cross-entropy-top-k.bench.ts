import { i32View } from '@qdylora/contract';
import { linearCrossEntropyTopK } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const hidden = 576;
const vocabulary = 49_152;
const weight = normalView(1, 'w', [vocabulary, hidden], 0.02);
const cases = [64, 512].flatMap((tokens) =>
  [1, 64, 256].map((topK) => ({
    label: `${tokens} tokens, ${topK} classes`,
    flops: 4 * tokens * vocabulary * hidden,
    inputs: {
      x: normalView(1, 'x', [tokens, hidden]),
      weight,
      targets: i32View(
        [tokens],
        Array.from({ length: tokens }, (_, t) => (t * 7919) % vocabulary),
      ),
    },
    attributes: { computeDtype: 'f32' as const, lossScale: 1 / tokens, gradient: true, topK },
  })),
);
await benchKernel(linearCrossEntropyTopK, cases);
