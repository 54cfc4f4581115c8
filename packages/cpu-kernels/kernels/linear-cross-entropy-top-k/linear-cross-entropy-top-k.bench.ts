import { linearCrossEntropyTopK } from '@qdylora/tensor';
import { benchKernel } from '../../bench/bench-kernel.ts';
import { HEAD, headInputs, headWeight } from '../../bench/head-inputs.ts';

const weight = headWeight();
const cases = [64, 512].flatMap((tokens) =>
  [1, 64, 256].map((topK) => ({
    label: `${tokens} tokens, ${topK} classes`,
    flops: 4 * tokens * HEAD.vocabulary * HEAD.hidden,
    inputs: headInputs(tokens, weight),
    attributes: { computeDtype: 'f32' as const, lossScale: 1 / tokens, gradient: true, topK },
  })),
);
await benchKernel(linearCrossEntropyTopK, cases);
