import { createHostBackend, runOp, type FloatView } from '@qdylora/contract';
import { linearCrossEntropyTopK, linearDistillation } from '@qdylora/tensor';
import fc from 'fast-check';
import { normalView } from '../arbitraries.ts';
import { conformanceCase, forHalves } from '../conformance-case.ts';
import {
  boundFor,
  headParameters,
  headWeight,
  risingWeight,
  targetsOf,
  tokenWeightsOf,
  type HeadSizes,
} from './linear-cross-entropy.ts';
import { arbitraryShare, topKOf } from './linear-cross-entropy-top-k.ts';

const host = createHostBackend();

/** Hidden states, targets, and the classes that a head with the same weight predicts from other states. */
function inputsOf(sizes: HeadSizes, weight: FloatView, { topK, ignored }: { topK: number; ignored: number }) {
  const { tokens, hidden, seed } = sizes;
  const targets = targetsOf(sizes, ignored);
  const wide = normalView(seed, 'wide', [tokens, hidden]);
  const { topIds, topLogProbabilities, tailMass } = runOp(
    host,
    linearCrossEntropyTopK,
    { x: wide, weight, targets },
    { computeDtype: 'f32', lossScale: 1, gradient: false, topK },
  );
  const x = normalView(seed, 'x', [tokens, hidden]);
  return { x, weight, targets, topIds, topLogProbabilities, tailMass };
}

/** Many rows, and classes of the row that fill the first block of the vocabulary. */
function* largeCalls() {
  for (const [sizes, topK, rise] of [
    [{ tokens: 2500, hidden: 2, vocabulary: 1100, seed: 5 }, 64, 60],
    [{ tokens: 40, hidden: 33, vocabulary: 7000, seed: 7 }, 64, -60],
    [{ tokens: 30, hidden: 3, vocabulary: 1100, seed: 8 }, 600, -60],
    [{ tokens: 30, hidden: 3, vocabulary: 1100, seed: 9 }, 1100, 60],
  ] as const) {
    const { tokens } = sizes;
    const inputs = inputsOf(sizes, risingWeight(sizes, rise), { topK, ignored: 0.2 });
    for (const softCap of [0, 20])
      for (const computeDtype of ['f32', 'bf16'] as const)
        yield {
          inputs,
          attributes: { computeDtype, lossScale: 1 / tokens, softCap, gradient: true, distillation: 0.5 },
          bound: boundFor(sizes, inputs, { factor: 1 / tokens, cap: softCap, computeDtype }),
        };
  }
}

/**
 * The bound of a cross-entropy holds: loss and gradient are sums over the same softmax, with weights of at
 * most 2 in all, and logarithms of tails are as exact as those of sums over all classes.
 */
export const linearDistillationCases = [
  ...forHalves((setting) => [
    conformanceCase(linearDistillation, {
      title: 'in loss, token losses and gradient, for any number of classes',
      parameters: fc.record({
        ...headParameters(setting),
        share: arbitraryShare,
        distillation: fc.constantFrom(0, 0.3, 0.5, 1),
      }),
      numRuns: 60,
      call({
        sizes,
        share,
        ignored,
        computeDtype,
        weightDtype,
        softCap,
        isWeighted,
        gradient,
        distillation,
      }) {
        const topK = topKOf(share, sizes.vocabulary);
        const inputs = inputsOf(sizes, headWeight(sizes, weightDtype), { topK, ignored });
        return {
          inputs: { ...inputs, tokenWeights: isWeighted ? tokenWeightsOf(sizes) : undefined },
          attributes: { computeDtype, lossScale: 0.125, softCap, gradient, distillation },
          bound: boundFor(sizes, inputs, { factor: 0.125, cap: softCap, computeDtype }),
        };
      },
    }),
  ]),
  conformanceCase(linearDistillation, {
    title: 'for many rows, and classes that fill a block of the vocabulary',
    needs: 'large',
    edges: largeCalls,
  }),
];
