import { hostData, createHostBackend, f32View, type ArrayView, type Backend } from '@qdylora/contract';
import { randomF32, seededNumbers } from '@qdylora/testing';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  apply,
  backward,
  constant,
  differentiableActivationGate,
  differentiableAdd,
  differentiableLinear,
  inferenceContext,
  leaf,
  Linear,
  Parameter,
  recompute,
  RmsNormLayer,
  Tape,
  type ForwardContext,
  type FloatTensor,
} from '../index.ts';
import { scalarOf } from '../../test/scalar-of.ts';

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
    let h: FloatTensor = x;
    for (const layer of layers) {
      const body = (blockCtx: ForwardContext, input: FloatTensor): FloatTensor =>
        apply(
          blockCtx,
          differentiableAdd,
          { a: input, b: layer.up.forward(blockCtx, layer.norm.forward(blockCtx, input)) },
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
      const body = (blockCtx: ForwardContext): FloatTensor =>
        layer.forward(blockCtx, new Linear('first', first).forward(blockCtx, source));
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

test('a root that the tape has not recorded is refused, also in a second pass over the same tape', () => {
  const backend = createHostBackend();
  const tape = new Tape(backend);
  const ctx: ForwardContext = { ...inferenceContext(backend), tape };
  const x = leaf(f32View([1], [3]));
  const sumOf = (a: FloatTensor, b: FloatTensor): FloatTensor =>
    apply(ctx, differentiableAdd, { a, b }, {}).y;
  const root = sumOf(x, x);
  expect(hostData(backward(tape, root, { leaves: [x] })[0]!)).toEqual(Float32Array.of(2));
  expect(() => backward(tape, root, { leaves: [x] })).toThrow(/backward has already run on this tape/);
  const fixed = constant(f32View([1], [1]));
  expect(() => backward(tape, sumOf(fixed, fixed))).toThrow(/depends on no parameter or leaf/);
});

test('a recomputed block without a gradient to compute leaves those of later layers alone', () => {
  const backend = createHostBackend();
  const ctx: ForwardContext = { ...inferenceContext(backend), tape: new Tape(backend), recompute: true };
  const sum = (context: ForwardContext, a: FloatTensor, b: FloatTensor): FloatTensor =>
    apply(context, differentiableAdd, { a, b }, {}).y;
  const fixed = constant(f32View([1], [1]));
  const first = recompute(ctx, null, (block) => sum(block, fixed, fixed));
  const x = leaf(f32View([1], [3]));
  const [dx] = backward(ctx.tape!, sum(ctx, first, x), { leaves: [x] });
  expect(hostData(dx!)).toEqual(Float32Array.of(1));
});

test('a leaf whose op computes no gradient for it is refused by the name of the input', () => {
  const backend = createHostBackend();
  const tape = new Tape(backend);
  const x = leaf(f32View([1, 2], [1, 2]));
  const weight = leaf(f32View([1, 2], [3, 4]));
  const { y } = apply({ backend, tape }, differentiableLinear, { x, weight }, { computeDtype: 'f32' });
  expect(() => backward(tape, y, { leaves: [x, weight] })).toThrow(
    /the leaf that is used as weight gets no gradient/,
  );
});

test('a tape whose backward pass has failed is refused by a second one', () => {
  const host = createHostBackend();
  let isAborted = false;
  const backend: Backend = {
    ...host,
    beforeCall() {
      if (isAborted) throw new Error('aborted');
    },
  };
  const tape = new Tape(backend);
  const x = leaf(f32View([1], [3]));
  const square = (a: FloatTensor): FloatTensor =>
    apply({ backend, tape }, differentiableActivationGate, { gate: a, up: a }, { kind: 'silu' }).y;
  const root = square(square(x));
  isAborted = true;
  expect(() => backward(tape, root, { leaves: [x], seed: f32View([1], [1]) })).toThrow('aborted');
  isAborted = false;
  expect(() => backward(tape, root, { leaves: [x] })).toThrow(/backward has already run on this tape/);
});
