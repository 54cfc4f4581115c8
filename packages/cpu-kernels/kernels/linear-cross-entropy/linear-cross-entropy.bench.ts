import { linearCrossEntropy } from '@qdylora/tensor';
import { benchKernel } from '../../bench/bench-kernel.ts';
import { HEAD, headInputs, headWeight } from '../../bench/head-inputs.ts';

const weight = headWeight();
const cases = (
  [
    [64, 0],
    [256, 0],
    [512, 0.5],
  ] as const
).flatMap(([tokens, ignored]) =>
  [false, true].map((gradient) => {
    const active = tokens * (1 - ignored);
    return {
      label: `${tokens} tokens, ${active} active${gradient ? ', gradient' : ''}`,
      flops: (gradient ? 4 : 2) * active * HEAD.vocabulary * HEAD.hidden,
      inputs: headInputs(tokens, weight, ignored),
      attributes: { computeDtype: 'f32' as const, lossScale: 1 / active, gradient },
    };
  }),
);
// dWeight is left out: a frozen head, as in QDyLoRA.
await benchKernel(linearCrossEntropy, cases);
