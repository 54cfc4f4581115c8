import { f32View, i32View } from '@qdylora/contract';
import { linearDistillation } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const hidden = 576;
const vocabulary = 49_152;
const weight = normalView(1, 'w', [vocabulary, hidden], 0.02);
const cases = [64, 512].flatMap((tokens) =>
  [1, 64, 256].map((k) => ({
    label: `${tokens} tokens, ${k} classes`,
    flops: 4 * tokens * vocabulary * hidden,
    inputs: {
      x: normalView(1, 'x', [tokens, hidden]),
      weight,
      targets: i32View(
        [tokens],
        Array.from({ length: tokens }, (_, t) => (t * 7919) % vocabulary),
      ),
      topIds: i32View(
        [tokens, k],
        Array.from({ length: tokens * k }, (_, i) => (i * 104_729) % vocabulary),
      ),
      topLogProbabilities: f32View([tokens, k], new Float32Array(tokens * k).fill(-Math.log(2 * k))),
      tailMass: f32View([tokens], new Float32Array(tokens).fill(0.5)),
    },
    attributes: { computeDtype: 'f32' as const, lossScale: 1 / tokens, gradient: true, distillation: 0.5 },
  })),
);
await benchKernel(linearDistillation, cases);
