import {
  hostData,
  createHostBackend,
  f32View,
  i32View,
  type ArrayView,
  type Backend,
} from '@qdylora/contract';
import { randomF32, seededNumbers } from '@qdylora/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ACTIVATION_KINDS,
  apply,
  backward,
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
  inferenceContext,
  leaf,
  Linear,
  Parameter,
  recompute,
  RmsNormLayer,
  ropeTable,
  Tape,
  type AttentionAttributes,
  type ForwardContext,
  type Recorder,
  type FloatTensor,
  type Tensor,
} from '../index.ts';
import { runOp } from '@qdylora/contract';

type F32 = FloatTensor;
const f32 = { computeDtype: 'f32' as const };

/**
 * A scalar that depends on every entry with another weight: mean cross-entropy of fixed targets under a fixed
 * head.
 */
function scalarOf(recorder: Recorder, y: F32): F32 {
  if (y.view.shape.length === 1) return y; // a loss already
  const [tokens, width] = y.view.shape as [number, number];
  const next = seededNumbers(99);
  const head = constant(randomF32([5, width], next));
  const targets = constant(
    i32View(
      [tokens],
      Array.from({ length: tokens }, (_, t) => t % 5),
    ),
  );
  return apply(
    recorder,
    differentiableLinearCrossEntropy,
    { x: y, weight: head, targets, tokenWeights: undefined },
    { ...f32, lossScale: 1 / Math.max(1, tokens), gradient: recorder.tape !== null },
  ).loss;
}

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
    run: (r, [x]) => apply(r, differentiableDropout, { x: x! }, { probability: 0.4, key: 3, counter: 9 }).y,
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

/** Two residual blocks with trainable weights, plain or with recomputation. */
function blocks(
  backend: Backend,
  useRecompute: boolean,
  seed: number,
  over: { y?: 'b' } = {},
): { gradients: Float32Array[]; loss: number; live: number; peak: number } {
  const next = seededNumbers(seed);
  const tape = new Tape(backend);
  const ctx: ForwardContext = { ...inferenceContext(backend), tape, recompute: useRecompute };
  const layers = [0, 1].map((i) => ({
    norm: new RmsNormLayer(`n${i}`, new Parameter(`n${i}.weight`, randomF32([6], next)), 1e-3),
    up: new Linear(`u${i}`, new Parameter(`u${i}.weight`, randomF32([6, 6], next))),
  }));
  const parameters = layers.flatMap((layer) => [...layer.norm.parameters(), ...layer.up.parameters()]);
  for (const p of parameters) {
    p.makeTrainable(backend.memory);
    hostData(p.gradient!).fill(0);
  }
  const before = backend.memory.usage().liveBytes;
  const x = leaf(randomF32([9, 6], next));
  const loss = backend.memory.scoped(() => {
    let h: F32 = x;
    for (const layer of layers) {
      const body = (own: ForwardContext, input: F32): F32 =>
        apply(
          own,
          differentiableAdd,
          { a: input, b: layer.up.forward(own, layer.norm.forward(own, input)) },
          {},
          over,
        ).y;
      h = useRecompute ? recompute(ctx, h, body) : body(ctx, h);
    }
    const root = scalarOf(ctx, h);
    const [dx] = backward(tape, root, { leaves: [x] });
    parameters.push(
      Object.assign(new Parameter('x', x.view), { gradient: f32View(dx!.shape, hostData(dx!).slice()) }),
    );
    return hostData(root.view)[0];
  });
  return {
    gradients: parameters.map((p) => hostData(p.gradient!).slice()),
    loss,
    live: backend.memory.usage().liveBytes - before,
    peak: backend.memory.usage().peakBytes,
  };
}

test('recomputation changes no bit of the loss or of any gradient', () => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const plain = blocks(createHostBackend({ poison: true }), false, seed);
      const again = blocks(createHostBackend({ poison: true }), true, seed);
      expect(again.loss).toBe(plain.loss);
      expect(again.gradients).toEqual(plain.gradients);
    }),
    { numRuns: 20 },
  );
});

test('a step leaves no temporary behind', () => {
  for (const useRecompute of [false, true]) expect(blocks(createHostBackend(), useRecompute, 1).live).toBe(0);
});

test('a second pass adds to the gradient instead of replacing it', () => {
  const backend = createHostBackend();
  const weight = new Parameter('w', randomF32([5, 4], seededNumbers(1)));
  weight.makeTrainable(backend.memory);
  hostData(weight.gradient!).fill(0);
  const pass = (): Float32Array => {
    const tape = new Tape(backend);
    const y = new Linear('l', weight).forward(
      { ...inferenceContext(backend), tape },
      constant(randomF32([3, 4], seededNumbers(2))),
    );
    backward(tape, scalarOf({ backend, tape }, y));
    return hostData(weight.gradient!).slice();
  };
  const once = pass();
  const twice = pass();
  twice.forEach((g, i) => expect(g).toBeCloseTo(2 * once[i], 6));
});

test('a sum written over its last reader changes no bit, and needs less memory', () => {
  for (const useRecompute of [false, true]) {
    const apart = blocks(createHostBackend({ poison: true }), useRecompute, 3);
    const over = blocks(createHostBackend({ poison: true }), useRecompute, 3, { y: 'b' });
    expect([over.loss, over.gradients, over.live]).toEqual([apart.loss, apart.gradients, 0]);
    expect(over.peak).toBeLessThan(apart.peak);
  }
});

test('what backward still reads cannot be written over', () => {
  const backend = createHostBackend();
  const tape = new Tape(backend);
  const recorder = { backend, tape };
  const x = leaf(randomF32([2, 4], seededNumbers(1)));
  const twice = apply(recorder, differentiableAdd, { a: x, b: x }, {}).y;
  const gated = apply(recorder, differentiableActivationGate, { gate: twice, up: x }, { kind: 'silu' }).y;
  expect(() => apply(recorder, differentiableAdd, { a: gated, b: x }, {}, { y: 'b' })).toThrow(
    /nothing else reads.*a leaf/,
  );
  expect(() => apply(recorder, differentiableAdd, { a: gated, b: twice }, {}, { y: 'b' })).toThrow(
    /one that is still read/,
  );
  expect(apply(recorder, differentiableAdd, { a: x, b: gated }, {}, { y: 'b' }).y.view).toBe(gated.view);
});

/**
 * down(silu(gate(x)) · up(x)); where `readsAgain`, somebody wants the gradient of up(x), so that it stays.
 * `live`: bytes while the gate goes backward, and at the end.
 */
function gated(
  seed: number,
  readsAgain: boolean,
): { gradient: Float32Array; live: readonly [inGate: number, after: number] } {
  const host = createHostBackend({ poison: true });
  const { memory } = host;
  const next = seededNumbers(seed);
  const linear = (name: string, out: number, inner: number): Linear =>
    new Linear(name, new Parameter(name, randomF32([out, inner], next)));
  let inGate = 0;
  const backend: Backend = {
    ...host,
    measure({ op }, run) {
      if (op.name === 'activation-gate-backward') inGate = memory.usage().liveBytes;
      run();
    },
  };
  const tape = new Tape(backend);
  const ctx: ForwardContext = { ...inferenceContext(backend), tape };
  const gate = linear('gate', 64, 6);
  const up = linear('up', 64, 6);
  const down = linear('down', 6, 64);
  const x = leaf(randomF32([33, 6], next));
  const gradient = memory.scoped(() => {
    const g = gate.forward(ctx, x);
    const u = up.forward(ctx, x);
    const y = apply(ctx, differentiableActivationGate, { gate: g, up: u }, { kind: 'silu' }).y;
    const [dx] = backward(tape, scalarOf(ctx, down.forward(ctx, y)), { leaves: readsAgain ? [x, u] : [x] });
    return hostData(dx as ArrayView<'f32'>).slice();
  });
  return { gradient, live: [inGate, memory.usage().liveBytes] };
}

test('a gradient is written over a result that is not read again: the same bits, no new memory', () => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const over = gated(seed, false);
      const apart = gated(seed, true);
      expect(over.gradient).toEqual(apart.gradient);
      expect(over.live).toEqual([apart.live[0] - 33 * 64 * 4, 0]);
    }),
    { numRuns: 20 },
  );
});

test('a block without an input makes its own again: the same bits as without recomputation', () => {
  const run = (useRecompute: boolean): { loss: number; gradient: Float32Array; live: number } => {
    const backend = createHostBackend({ poison: true });
    const next = seededNumbers(5);
    const tape = new Tape(backend);
    const ctx: ForwardContext = { ...inferenceContext(backend), tape, recompute: useRecompute };
    const first = new Parameter('first', randomF32([6, 6], next));
    const layer = new Linear('up', new Parameter('up', randomF32([6, 6], next)));
    const source = constant(randomF32([9, 6], next));
    first.makeTrainable(backend.memory);
    hostData(first.gradient!).fill(0);
    const before = backend.memory.usage().liveBytes;
    const loss = backend.memory.scoped(() => {
      const body = (own: ForwardContext): F32 =>
        layer.forward(own, new Linear('first', first).forward(own, source));
      const root = scalarOf(ctx, useRecompute ? recompute(ctx, null, body) : body(ctx));
      backward(tape, root);
      return hostData(root.view)[0];
    });
    return {
      loss,
      gradient: hostData(first.gradient!).slice(),
      live: backend.memory.usage().liveBytes - before,
    };
  };
  expect(run(true)).toEqual(run(false));
  expect(run(true).live).toBe(0);
});
