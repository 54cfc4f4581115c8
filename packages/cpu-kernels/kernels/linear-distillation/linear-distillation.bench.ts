import { f32View, i32View } from '@qdylora/contract';
import { linearDistillation } from '@qdylora/tensor';
import { benchKernel } from '../../bench/bench-kernel.ts';
import { HEAD, headInputs, headWeight } from '../../bench/head-inputs.ts';

const weight = headWeight();
const cases = [64, 512].flatMap((tokens) =>
  [1, 64, 256].map((k) => ({
    label: `${tokens} tokens, ${k} classes`,
    flops: 4 * tokens * HEAD.vocabulary * HEAD.hidden,
    inputs: {
      ...headInputs(tokens, weight),
      topIds: i32View(
        [tokens, k],
        Array.from({ length: tokens * k }, (_, i) => (i * 104_729) % HEAD.vocabulary),
      ),
      topLogProbabilities: f32View([tokens, k], new Float32Array(tokens * k).fill(-Math.log(2 * k))),
      tailMass: f32View([tokens], new Float32Array(tokens).fill(0.5)),
    },
    attributes: { computeDtype: 'f32' as const, lossScale: 1 / tokens, gradient: true, distillation: 0.5 },
  })),
);
await benchKernel(linearDistillation, cases);
