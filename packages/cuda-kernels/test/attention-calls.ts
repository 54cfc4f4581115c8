import { createHostBackend, hostData, runOp, type Op } from '@qdylora/contract';
import { causalAttention, causalAttentionBackward, type ComputeDtype } from '@qdylora/tensor';
import { EPSILON, normalView, OPERAND_ROUNDING, SMALLEST_STEP } from '@qdylora/testing';
import { attentionAttributes, attentionInputs } from '@qdylora/testing/conformance';
import type { SmallCall } from './small-calls.ts';

interface AttentionSetting {
  readonly queries: number;
  readonly keys: number;
  readonly headDim: number;
  readonly computeDtype: ComputeDtype;
}

/**
 * A forward call and, where queries and keys are as many, its backward: two heads of one kv head.
 * The bounds are those of the conformance cases: a score is off by S = (headDim + 8)·6·ε, a weight by 2·S
 * relatively, and a gradient is a sum of terms below 6·√headDim. As an operand of two bytes a weight is
 * rounded by both sides, each on a scale of its own.
 */
export function attentionCalls({ queries, keys, headDim, computeDtype }: AttentionSetting): SmallCall[] {
  const attributes = attentionAttributes({ heads: 2, kvHeads: 1, headDim, window: 700, computeDtype });
  const inputs = attentionInputs(headDim, [{ queries, keys }], attributes);
  const score = (headDim + 8) * 6 * EPSILON;
  const weight =
    2 * score +
    (computeDtype === 'f32' ? 0 : 2 * OPERAND_ROUNDING[computeDtype]) +
    keys * SMALLEST_STEP[computeDtype];
  const largest = hostData(inputs.v).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const sums = (keys + 70) * EPSILON;
  const forward = {
    op: causalAttention as unknown as Op,
    call: {
      inputs,
      attributes,
      bound: (name: string, _: number, want: number) =>
        name === 'y' ? (weight + sums) * largest : score + sums + 4 * EPSILON * Math.abs(want),
    },
  };
  if (queries !== keys) return [forward];
  const { y, logSumExp } = runOp(createHostBackend(), causalAttention, inputs, attributes);
  const relative = weight + (2 * headDim + 2 * keys + 70) * EPSILON;
  return [
    forward,
    {
      op: causalAttentionBackward as unknown as Op,
      call: {
        inputs: { ...inputs, y, logSumExp, dy: normalView(headDim, 'dy', y.shape) },
        attributes,
        bound: () => relative * 24 * Math.sqrt(headDim),
      },
    },
  ];
}

/** Calls for every tile of the kernels, and one whose keys are cut into chunks. */
export const tileCalls = (computeDtype: ComputeDtype): SmallCall[] => [
  ...[32, 80, 256].flatMap((headDim) => attentionCalls({ queries: 21, keys: 21, headDim, computeDtype })),
  ...attentionCalls({ queries: 1, keys: 530, headDim: 4, computeDtype }),
];
