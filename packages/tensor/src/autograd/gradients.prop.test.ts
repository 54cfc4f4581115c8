import {
  hostData,
  createHostBackend,
  f32View,
  i32View,
  runOp,
  type ArrayView,
  type Backend,
} from '@qdylora/contract';
import { randomF32, seededNumbers } from '@qdylora/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ACTIVATION_KINDS,
  apply,
  constant,
  differentiableActivation,
  differentiableActivationGate,
  differentiableAdd,
  differentiableCausalAttention,
  differentiableDropout,
  differentiableLayerNorm,
  differentiableLinear,
  differentiableLinearCrossEntropy,
  differentiableResidualNorm,
  differentiableRmsNorm,
  differentiableRope,
  differentiableScaleBy,
  differentiableSoftCap,
  differentiableSplitColumns,
  gradcheck,
  ropeTable,
  type AttentionAttributes,
  type Recorder,
  type FloatTensor,
  type Tensor,
} from '../index.ts';
import { scalarOf } from '../../test/scalar-of.ts';

type F32 = FloatTensor;
const f32 = { computeDtype: 'f32' as const };

/**
 * Central differences with step 2⁻⁷ in float32: truncation h²·f‴ and rounding ε/h are both about 1e-5 for
 * values near 1; ten times that is a wrong formula.
 */
const GRADIENT_BOUND = 2e-3;

/** The same numbers at least 2⁻⁶ from 0, where relu has no derivative. */
const awayFromZero = (view: ArrayView<'f32'>): ArrayView<'f32'> =>
  f32View(
    view.shape,
    hostData(view).map((x) => x + (x < 0 ? -1 : 1) / 64),
  );

const segmentsOf = (tokens: number): ArrayView<'i32'> => i32View([3], [0, Math.floor(tokens / 3), tokens]);

type Case = (
  backend: Backend,
  next: () => number,
  tokens: number,
) => { inputs: ArrayView<'f32'>[]; run: (r: Recorder, i: readonly F32[]) => F32 };

const attentionCase =
  (options: Partial<AttentionAttributes>, alibiSlopes?: ArrayView<'f32'>): Case =>
  (_, next, tokens) => ({
    inputs: [randomF32([tokens, 8], next), randomF32([tokens, 4], next), randomF32([tokens, 4], next)],
    run: (r, [q, k, v]) =>
      apply(
        r,
        differentiableCausalAttention,
        {
          q: q!,
          k: k!,
          v: v!,
          querySegments: constant(segmentsOf(tokens)),
          keySegments: constant(segmentsOf(tokens)),
          alibiSlopes: alibiSlopes && constant(alibiSlopes),
        } as never,
        {
          heads: 4,
          kvHeads: 2,
          headDim: 2,
          scale: 0.7,
          softCap: 0,
          window: 0,
          computeDtype: 'f32',
          ...options,
        },
      ).y as F32,
  });

const CASES: Record<string, Case> = {
  linear: (_, next, tokens) => ({
    inputs: [randomF32([tokens, 3], next), randomF32([4, 3], next), randomF32([4], next)],
    run: (r, [x]) =>
      apply(
        r,
        differentiableLinear,
        { x: x!, weight: constant(randomF32([4, 3], seededNumbers(5))), bias: undefined },
        f32,
      ).y,
  }),
  'rms-norm': (_, next, tokens) => ({
    inputs: [randomF32([tokens, 6], next)],
    run: (r, [x]) =>
      apply(
        r,
        differentiableRmsNorm,
        { x: x!, weight: constant(randomF32([6], seededNumbers(6))) },
        { epsilon: 0.1, weightOffset: 1 },
      ).y,
  }),
  'rms-norm of each head': (_, next, tokens) => ({
    inputs: [randomF32([tokens, 6], next)],
    run: (r, [x]) =>
      apply(
        r,
        differentiableRmsNorm,
        { x: x!, weight: constant(randomF32([3], seededNumbers(6))) },
        { epsilon: 0.1, weightOffset: 1 },
      ).y,
  }),
  'scale-by': (_, next, tokens) => ({
    inputs: [randomF32([tokens, 4], next)],
    run: (r, [x]) => apply(r, differentiableScaleBy, { x: x!, factor: constant(f32View([1], [1.7])) }, {}).y,
  }),
  'soft-cap': (_, next, tokens) => ({
    inputs: [randomF32([tokens, 4], next, 2)],
    run: (r, [x]) => apply(r, differentiableSoftCap, { x: x! }, { cap: 1.5 }).y,
  }),
  'linear-cross-entropy of capped logits': (_, next, tokens) => ({
    inputs: [randomF32([tokens, 4], next, 2)],
    run: (r, [x]) =>
      apply(
        r,
        differentiableLinearCrossEntropy,
        {
          x: x!,
          weight: constant(randomF32([6, 4], seededNumbers(8))),
          targets: constant(
            i32View(
              [tokens],
              Array.from({ length: tokens }, (__, t) => t % 6),
            ),
          ),
          tokenWeights: undefined,
        },
        { ...f32, lossScale: 1 / tokens, softCap: 1.5, gradient: r.tape !== null },
      ).loss,
  }),
  'split-columns': (_, next, tokens) => ({
    inputs: [randomF32([tokens, 10], next)],
    run: (r, [x]) => {
      const { first, second, third } = apply(
        r,
        differentiableSplitColumns,
        { x: x! },
        { groups: 2, widths: [2, 2, 1] },
      );
      const ofThird = apply(
        r,
        differentiableLinear,
        { x: third, weight: constant(randomF32([4, 2], seededNumbers(7))), bias: undefined },
        f32,
      ).y;
      return apply(
        r,
        differentiableAdd,
        {
          a: apply(r, differentiableActivationGate, { gate: first, up: second }, { kind: 'silu' }).y,
          b: ofThird,
        },
        {},
      ).y;
    },
  }),
  'split-columns with a part that nothing reads': (_, next, tokens) => ({
    inputs: [randomF32([tokens, 10], next)],
    run: (r, [x]) => apply(r, differentiableSplitColumns, { x: x! }, { groups: 2, widths: [2, 2, 1] }).second,
  }),
  'residual-norm, the sum and the norm both used': (_, next, tokens) => ({
    inputs: [randomF32([tokens, 6], next), randomF32([tokens, 6], next)],
    run: (r, [a, b]) => {
      const { sum, y } = apply(
        r,
        differentiableResidualNorm,
        { a: a!, b: b!, weight: constant(randomF32([6], seededNumbers(6))) },
        { epsilon: 0.1, weightOffset: 0 },
      );
      return apply(r, differentiableAdd, { a: sum, b: y }, {}).y;
    },
  }),
  'residual-norm, the norm alone used': (_, next, tokens) => ({
    inputs: [randomF32([tokens, 6], next), randomF32([tokens, 6], next)],
    run: (r, [a, b]) =>
      apply(
        r,
        differentiableResidualNorm,
        { a: a!, b: b!, weight: constant(randomF32([6], seededNumbers(6))) },
        { epsilon: 0.1, weightOffset: 1 },
      ).y,
  }),
  'residual-norm, the sum alone used': (_, next, tokens) => ({
    inputs: [randomF32([tokens, 6], next), randomF32([tokens, 6], next)],
    run: (r, [a, b]) =>
      apply(
        r,
        differentiableResidualNorm,
        { a: a!, b: b!, weight: constant(randomF32([6], seededNumbers(6))) },
        { epsilon: 0.1, weightOffset: 0 },
      ).sum,
  }),
  rope: (backend, next, tokens) => ({
    inputs: [randomF32([tokens, 10], next)],
    run: (r, [x]) => {
      const { cos, sin } = runOp(
        backend,
        ropeTable,
        {
          positions: i32View(
            [tokens],
            Array.from({ length: tokens }, (_, t) => t),
          ),
          inverseFrequencies: f32View([2], [1, 0.3]),
        },
        { scale: 1.1 },
      );
      return apply(
        r,
        differentiableRope,
        { x: x!, cos: constant(cos), sin: constant(sin) },
        { headDim: 5, inverse: false },
      ).y;
    },
  }),
  ...Object.fromEntries(
    ACTIVATION_KINDS.flatMap((kind) => [
      [
        `activation (${kind})`,
        (_: Backend, next: () => number, tokens: number) => ({
          inputs: [awayFromZero(randomF32([tokens, 4], next, 2))],
          run: (r: Recorder, [x]: readonly F32[]) =>
            apply(r, differentiableActivation, { x: x! }, { kind }).y,
        }),
      ],
      [
        `activation-gate (${kind})`,
        (_: Backend, next: () => number, tokens: number) => ({
          inputs: [awayFromZero(randomF32([tokens, 4], next, 2)), randomF32([tokens, 4], next, 2)],
          run: (r: Recorder, [gate, up]: readonly F32[]) =>
            apply(r, differentiableActivationGate, { gate: gate!, up: up! }, { kind }).y,
        }),
      ],
    ]),
  ),
  'layer-norm': (_, next, tokens) => ({
    inputs: [randomF32([tokens, 6], next)],
    run: (r, [x]) =>
      apply(
        r,
        differentiableLayerNorm,
        {
          x: x!,
          weight: constant(randomF32([6], seededNumbers(6))),
          bias: constant(randomF32([6], seededNumbers(7))),
        },
        { epsilon: 0.1 },
      ).y,
  }),
  dropout: (_, next, tokens) => ({
    inputs: [randomF32([tokens, 8], next)],
    run(r, [x]) {
      const counter = constant(i32View([1], [9]));
      return apply(r, differentiableDropout, { x: x!, counter }, { probability: 0.4, key: 3 }).y;
    },
  }),
  'add of a value to itself': (_, next, tokens) => ({
    inputs: [randomF32([tokens, 4], next)],
    run: (r, [x]) => apply(r, differentiableAdd, { a: x!, b: x! }, {}).y,
  }),
  'causal-attention': attentionCase({}),
  'causal-attention with a window': attentionCase({ window: 3 }),
  'causal-attention with soft-capped scores': attentionCase({ softCap: 0.5 }),
  'causal-attention with ALiBi': attentionCase({ softCap: 1.5 }, f32View([4], [0.5, 0.25, -0.5, 2])),
};

describe.each(Object.entries(CASES))('the gradient of %s', (_, make) => {
  test('is that of central differences', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 7 }), (seed, tokens) => {
        const backend = createHostBackend({ poison: true });
        const { inputs, run } = make(backend, seededNumbers(seed), tokens);
        const result = gradcheck(
          backend,
          (recorder, leaves) => scalarOf(recorder, run(recorder, leaves)) as Tensor<ArrayView<'f32'>>,
          inputs,
        );
        expect(result.worst, JSON.stringify(result)).toBeLessThan(GRADIENT_BOUND);
      }),
      { numRuns: 8 },
    );
  });
});
