import { hostData, createHostBackend, runOp, type Backend } from '@qdylora/contract';
import { randomF32, seededNumbers } from '@qdylora/testing';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  apply,
  backward,
  constant,
  copy,
  differentiableActivationGate,
  differentiableAdd,
  differentiableSoftCap,
  inferenceContext,
  leaf,
  Linear,
  Parameter,
  recompute,
  RmsNormLayer,
  Tape,
  type FloatTensor,
  type ForwardContext,
} from '../index.ts';

type F32 = FloatTensor;
const TOKENS = 5;
const WIDTH = 6;

/** One call of a block: what it is, and which of the values so far it reads. */
interface Step {
  readonly kind: (typeof KINDS)[number];
  readonly first: number;
  readonly second: number;
}
const KINDS = ['linear', 'norm', 'add', 'add over', 'soft cap', 'gate', 'look', 'scope'] as const;
const arbitraryBlock = fc.array(
  fc.record({ kind: fc.constantFrom(...KINDS), first: fc.nat(), second: fc.nat() }),
  { minLength: 1, maxLength: 12 },
);

/**
 * A block of any calls on any earlier values, with looks at values from outside the tape; its result is the
 * last value.
 */
function blockOf(
  steps: readonly Step[],
  parameters: Parameter[],
  seen: number[],
): (ctx: ForwardContext, x: F32) => F32 {
  return (ctx, x) => {
    const values: F32[] = [x];
    const sums = new Set<F32>();
    steps.forEach(({ kind, first, second }, i) => {
      const a = values[first % values.length];
      const b = values[second % values.length];
      const linear = new Linear(`w${i}`, parameters[2 * i]);
      const norm = new RmsNormLayer(`n${i}`, parameters[2 * i + 1], 1e-3);
      const isUnread = sums.has(b) && a !== b && b === values.at(-1); // the newest sum may be written over
      if (kind === 'look') {
        const { y } = runOp(ctx.backend, copy, { x: a.view }, {});
        seen.push(...hostData(y));
        return;
      }
      const y = ((): F32 => {
        switch (kind) {
          case 'linear':
            return linear.forward(ctx, a);
          case 'norm':
            return norm.forward(ctx, a);
          case 'soft cap':
            return apply(ctx, differentiableSoftCap, { x: a }, { cap: 2 }).y;
          case 'gate':
            return apply(ctx, differentiableActivationGate, { gate: a, up: b }, { kind: 'silu' }).y;
          case 'scope':
            return ctx.backend.memory.scoped(
              () => {
                // the copy lives no longer than the scope
                const copied = runOp(ctx.backend, copy, { x: x.view }, {}).y;
                return apply(ctx, differentiableAdd, { a, b: constant(copied) }, {}).y;
              },
              (result) => [result.view],
            );
          case 'add over':
            return apply(ctx, differentiableAdd, { a, b }, {}, isUnread ? { y: 'b' } : {}).y;
          default:
            return apply(ctx, differentiableAdd, { a, b }, {}).y;
        }
      })();
      if (kind === 'add') sums.add(y);
      values.push(y);
    });
    return values.at(-1)!;
  };
}

function pass(
  steps: readonly Step[],
  seed: number,
  useRecompute: boolean,
  host: Backend = createHostBackend({ poison: true }),
): { gradients: number[][]; seen: number[]; live: number; ran: string[] } {
  const next = seededNumbers(seed);
  const ran: string[] = [];
  const backend: Backend = {
    ...host,
    measure({ op }, run) {
      ran.push(op.name);
      run();
    },
  };
  const tape = new Tape(backend);
  const ctx: ForwardContext = { ...inferenceContext(backend), tape, recompute: useRecompute };
  const parameters = steps.flatMap((_, i) => [
    new Parameter(`w${i}`, randomF32([WIDTH, WIDTH], next)),
    new Parameter(`n${i}`, randomF32([WIDTH], next)),
  ]);
  const x = leaf(randomF32([TOKENS, WIDTH], next));
  for (const parameter of parameters) {
    parameter.makeTrainable(host.memory);
    hostData(parameter.gradient!).fill(0);
  }
  const seed1 = randomF32([TOKENS, WIDTH], next);
  const before = host.memory.usage().liveBytes;
  const seen: number[] = [];
  const dx = host.memory.scoped(() => {
    const body = blockOf(steps, parameters, seen);
    const end = useRecompute ? recompute(ctx, x, body) : body(ctx, x);
    const [gradient] = backward(tape, end, { seed: seed1, leaves: [x] });
    return gradient ? Array.from(hostData(gradient)) : [];
  });
  return {
    gradients: [dx, ...parameters.map(({ gradient }) => Array.from(hostData(gradient!)))],
    seen,
    live: host.memory.usage().liveBytes - before,
    ran,
  };
}

test(
  'a block that runs again gives the gradients of one that kept everything, whatever it is made of, and ' +
    'shows its values to whoever looks',
  () => {
    fc.assert(
      fc.property(arbitraryBlock, fc.nat(), (steps, seed) => {
        const kept = pass(steps, seed, false);
        const again = pass(steps, seed, true);
        expect(again.gradients).toEqual(kept.gradients);
        expect(again.seen).toEqual([...kept.seen, ...kept.seen]);
        expect([kept.live, again.live]).toEqual([0, 0]);
      }),
      { numRuns: 300 },
    );
  },
);

test(
  'the last projection of a block and the sum behind it do not run again; nor do two branches that only ' +
    'the result needs',
  () => {
    const count = (steps: Step[], op: string): [number, number] =>
      [false, true].map(
        (useRecompute) => pass(steps, 1, useRecompute).ran.filter((name) => name === op).length,
      ) as [number, number];
    const step = (kind: Step['kind'], first: number, second = 0): Step => ({ kind, first, second });
    const sequential = [
      step('norm', 0),
      step('linear', 1),
      step('soft cap', 2),
      step('linear', 3),
      step('add', 0, 4),
    ];
    expect([count(sequential, 'linear'), count(sequential, 'add')]).toEqual([
      [2, 3],
      [1, 1],
    ]);
    const parallel = [
      step('norm', 0),
      step('linear', 1),
      step('add', 0, 2),
      step('norm', 0),
      step('linear', 4),
      step('add', 3, 5),
    ];
    expect([count(parallel, 'linear'), count(parallel, 'add'), count(parallel, 'rms-norm')]).toEqual([
      [2, 2],
      [2, 2],
      [2, 4],
    ]);
  },
);
