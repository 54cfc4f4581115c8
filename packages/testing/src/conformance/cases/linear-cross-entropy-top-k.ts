import { hostData, viewOf, type ArrayView } from '@qdylora/contract';
import { linearCrossEntropyTopK } from '@qdylora/tensor';
import fc from 'fast-check';
import { normalView } from '../arbitraries.ts';
import { conformanceCase, forHalves } from '../conformance-case.ts';
import { EPSILON, type Bound } from '../tolerance.ts';
import {
  arbitraryHeadSizes,
  boundFor,
  headInputs,
  headParameters,
  risingWeight,
  targetsOf,
  type HeadSizes,
} from './linear-cross-entropy.ts';

/**
 * Sorted logits move by no more than the logits, so log-probabilities are within the bound of a token's loss,
 * and masses within twice the 2δ of a softmax, the rounding of the sum and of the log-probabilities. Ids of
 * nearly equal logits may change places: they are exact only where logits are.
 */
function topKBound(
  sizes: HeadSizes,
  inputs: { readonly x: ArrayView; readonly weight: ArrayView },
  scale: Parameters<typeof boundFor>[2],
  hasExactLogits: boolean,
): Bound {
  const ofLoss = boundFor(sizes, inputs, scale);
  return (name, index, want) => {
    switch (name) {
      case 'topIds':
        return hasExactLogits ? 0 : Infinity;
      case 'topLogProbabilities':
        return ofLoss('tokenLosses', index, want);
      case 'tailMass':
        return 2 * ofLoss('tokenLosses', index, 0) + (64 + Math.log(sizes.vocabulary + 1)) * EPSILON;
      default:
        return ofLoss(name, index, want);
    }
  };
}

/** Share of the vocabulary that is listed. */
export const arbitraryShare = fc.double({ min: 0, max: 1, noNaN: true });

/** k of a share of the vocabulary: 1 up to all classes. */
export const topKOf = (share: number, vocabulary: number): number =>
  Math.max(1, Math.min(vocabulary, Math.round(share * vocabulary)));

/** Small whole numbers, whose products are exact in any order: many logits are equal. */
function wholeNumbers(seed: number, name: string, shape: readonly [number, number]): ArrayView<'f32'> {
  const view = normalView(seed, name, shape);
  const values = hostData(view);
  for (let i = 0; i < shape[0] * shape[1]; i++) values[i] = Math.max(-3, Math.min(3, Math.round(values[i])));
  return view;
}

/** Many rows, several blocks of the vocabulary, logits that rise or fall along it. */
function* largeCalls() {
  for (const [sizes, topK, rise] of [
    [{ tokens: 2500, hidden: 2, vocabulary: 1100, seed: 5 }, 64, 60],
    [{ tokens: 40, hidden: 33, vocabulary: 7000, seed: 7 }, 64, -60],
    [{ tokens: 30, hidden: 3, vocabulary: 1100, seed: 8 }, 600, 60],
  ] as const) {
    const { tokens, hidden, seed } = sizes;
    const inputs = {
      x: normalView(seed, 'x', [tokens, hidden]),
      weight: risingWeight(sizes, rise),
      targets: targetsOf(sizes, 0.2),
    };
    for (const computeDtype of ['f32', 'bf16'] as const)
      yield {
        inputs,
        attributes: { computeDtype, lossScale: 1 / tokens, gradient: true, topK },
        bound: topKBound(sizes, inputs, { factor: 1 / tokens, computeDtype }, false),
      };
  }
}

/** Infinite logits, and zeros of both signs: equal, so the smaller id comes first. */
function* edgeCalls() {
  const x = viewOf('f32', [2, 1], Float32Array.of(1, -1));
  const weight = viewOf('f32', [6, 1], Float32Array.of(-0, 0, 2, 2, -0, -5));
  const sizes = { tokens: 2, hidden: 1, vocabulary: 6, seed: 1 };
  const inputs = { x, weight, targets: targetsOf(sizes, 0) };
  for (const topK of [1, 3, 5, 6])
    yield {
      inputs,
      attributes: { computeDtype: 'f32' as const, lossScale: 1, gradient: true, topK },
      bound: topKBound(sizes, inputs, { factor: 1 }, true),
    };
}

export const linearCrossEntropyTopKCases = [
  ...forHalves((setting) => [
    conformanceCase(linearCrossEntropyTopK, {
      title: 'in loss, gradient, log-probabilities and tail, whatever is ignored or weighted',
      parameters: fc.record({ ...headParameters(setting), share: arbitraryShare }),
      numRuns: 60,
      call: ({ sizes, share, ignored, computeDtype, weightDtype, softCap, isWeighted, gradient }) => {
        const inputs = headInputs(sizes, { weightDtype, ignored, isWeighted });
        const topK = topKOf(share, sizes.vocabulary);
        return {
          inputs,
          attributes: { computeDtype, lossScale: 0.125, softCap, gradient, topK },
          bound: topKBound(sizes, inputs, { factor: 0.125, cap: softCap, computeDtype }, false),
        };
      },
    }),
  ]),
  conformanceCase(linearCrossEntropyTopK, {
    title: 'in the ids of classes, where many logits are equal',
    parameters: fc.record({ sizes: arbitraryHeadSizes, share: arbitraryShare }),
    numRuns: 40,
    call: ({ sizes, share }) => {
      const { tokens, hidden, vocabulary, seed } = sizes;
      const inputs = {
        x: wholeNumbers(seed, 'x', [tokens, hidden]),
        weight: wholeNumbers(seed, 'w', [vocabulary, hidden]),
        targets: targetsOf(sizes, 0.2),
      };
      return {
        inputs,
        attributes: {
          computeDtype: 'bf16' as const,
          lossScale: 1,
          gradient: false,
          topK: topKOf(share, vocabulary),
        },
        bound: topKBound(sizes, inputs, { factor: 1 }, true),
      };
    },
    edges: edgeCalls,
  }),
  conformanceCase(linearCrossEntropyTopK, {
    title: 'for many rows, and logits that rise or fall along the vocabulary',
    needs: 'large',
    edges: largeCalls,
  }),
];
