import { i32View } from '@qdylora/contract';
import { IGNORED_TARGET, linearCrossEntropy } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const hidden = 576;
const vocabulary = 49_152;
const weight = normalView(1, 'w', [vocabulary, hidden], 0.02);
const cases = [
  [64, 0],
  [256, 0],
  [512, 0.5],
].flatMap(([tokens, ignored]) =>
  [false, true].map((gradient) => {
    const targets = i32View(
      [tokens!],
      Array.from({ length: tokens! }, (_, t) =>
        t < tokens! * ignored! ? IGNORED_TARGET : (t * 7919) % vocabulary,
      ),
    );
    const active = tokens! * (1 - ignored!);
    return {
      label: `${tokens} tokens, ${active} active${gradient ? ', gradient' : ''}`,
      flops: (gradient ? 4 : 2) * active * vocabulary * hidden,
      inputs: { x: normalView(1, 'x', [tokens!, hidden]), weight, targets },
      attributes: { computeDtype: 'f32' as const, lossScale: 1 / active, gradient },
    };
  }),
);
// dWeight is left out: a frozen head, as in QDyLoRA.
await benchKernel(linearCrossEntropy, cases);
