import {
  createHostBackend,
  f32View,
  hostData,
  i32View,
  narrowHalves,
  viewOf,
  type ArrayView,
} from '@qdylora/contract';
import { describe, expect, it } from 'vitest';
import {
  apply,
  backward,
  constant,
  differentiableActivationGate,
  differentiableAdd,
  differentiableLinearCrossEntropy,
  differentiableResidualNorm,
  differentiableScaleBy,
  inferenceContext,
  leaf,
  Parameter,
  recompute,
  RmsNormLayer,
  Tape,
  type FloatTensor,
  type ForwardContext,
} from '../index.ts';

const backend = createHostBackend({ poison: true });
const taped = (): ForwardContext & { readonly tape: Tape } => ({
  ...inferenceContext(backend),
  tape: new Tape(backend),
});
const numbers = (...values: number[]): ArrayView<'f32'> => f32View([1, values.length], values);
const valuesOf = (view: ArrayView | undefined): number[] => [...(hostData(view!) as Float32Array)];
const isReleased = (view: ArrayView): boolean => backend.memory.isReleased!(view);
const add = (ctx: ForwardContext, a: FloatTensor, b: FloatTensor): FloatTensor =>
  apply(ctx, differentiableAdd, { a, b }, {}).y;
const doubled = (ctx: ForwardContext, x: FloatTensor): FloatTensor =>
  apply(ctx, differentiableScaleBy, { x, factor: constant(f32View([1], [2])) }, {}).y;

describe('a gradient', () => {
  it('of a value that is added twice along a chain counts twice', () => {
    const ctx = taped();
    const x = leaf(numbers(1, 2));
    const sum = add(ctx, x, constant(numbers(5, 6)));
    const [dx] = backward(ctx.tape, add(ctx, sum, x), { seed: numbers(1, 10), leaves: [x] });
    expect(valuesOf(dx)).toEqual([2, 20]);
  });

  it('of a value that goes through a recomputed block and past it counts twice', () => {
    const ctx = taped();
    const x = leaf(numbers(1, 2));
    const block = recompute(ctx, x, (inner, input) => add(inner, input, constant(numbers(5, 6))));
    const [dx] = backward(ctx.tape, add(ctx, block, x), { seed: numbers(1, 10), leaves: [x] });
    expect(valuesOf(dx)).toEqual([2, 20]);
  });

  it('of an intermediate value that is asked for is not written over', () => {
    const ctx = taped();
    const x = leaf(numbers(1, 2));
    const middle = doubled(ctx, x);
    const [dx, dMiddle] = backward(ctx.tape, doubled(ctx, middle), {
      seed: numbers(1, 10),
      leaves: [x, middle],
    });
    expect([valuesOf(dx), valuesOf(dMiddle)]).toEqual([
      [4, 40],
      [2, 20],
    ]);
  });

  it('of a norm of a value plus itself is twice that of one side', () => {
    const gradientOf = (isTwice: boolean): number[] => {
      const ctx = taped();
      const a = leaf(numbers(1, 2));
      const inputs = {
        a,
        b: isTwice ? a : constant(numbers(1, 2)),
        weight: constant(f32View([2], [1, 1])),
      };
      const { y } = apply(ctx, differentiableResidualNorm, inputs, { epsilon: 1e-3, weightOffset: 0 });
      const before = backend.memory.usage().liveBytes;
      const [gradient] = backward(ctx.tape, y, { seed: numbers(1, 10), leaves: [a] });
      expect(backend.memory.usage().liveBytes).toBeLessThan(before);
      return valuesOf(gradient);
    };
    expect(gradientOf(true)).toEqual(gradientOf(false).map((side) => 2 * side));
  });

  it.each(['x', 'branch', 'none'])('of a norm of a sum reaches both sides where %s is frozen', (frozen) => {
    const ctx = taped();
    const view = (name: string, ...values: number[]): FloatTensor =>
      frozen === name ? constant(numbers(...values)) : leaf(numbers(...values));
    const x = view('x', 1, 2);
    const branch = view('branch', 3, -1);
    // a result, since the sum is written over it
    const result = add(ctx, branch, constant(numbers(0, 0)));
    const norm = new RmsNormLayer('n', new Parameter('n.weight', f32View([2], [1, 1])), 1e-3);
    const { y } = norm.forwardSum(ctx, x, result);
    const leaves = [x, branch].filter(({ needsGradient }) => needsGradient);
    const gradients = backward(ctx.tape, doubled(ctx, add(ctx, y, constant(numbers(0, 0)))), {
      seed: numbers(1, 10),
      leaves,
    });
    expect(gradients).toHaveLength(leaves.length);
    for (const gradient of gradients) {
      expect(isReleased(gradient!)).toBe(false);
      expect(valuesOf(gradient)).toEqual(valuesOf(gradients[0]));
    }
  });
});

it('gradients that are the 1 or the seed of the root are arrays of their own', () => {
  const add = (ctx: ForwardContext, a: FloatTensor, b: FloatTensor): FloatTensor =>
    apply(ctx, differentiableAdd, { a, b }, {}).y;
  for (const seed of [undefined, numbers(1)]) {
    const ctx = taped();
    const [a, b] = [leaf(numbers(2)), leaf(numbers(3))];
    const root = add(ctx, a, b);
    const gradients = backward(ctx.tape, root, { seed, leaves: [a, b, root] });
    expect(gradients.map(valuesOf)).toEqual([[1], [1], [1]]);
    expect(gradients.map((gradient) => isReleased(gradient!))).toEqual([false, false, false]);
    expect(new Set([seed, ...gradients]).size).toBe(4);
  }
});

it.each([
  ['of another shape', f32View([2]), /the seed must be f32 \[1, 2\], as the root is, but it is f32 \[2\]/],
  ['of another dtype', viewOf('bf16', [1, 2], new Uint16Array(2)), /must be f32 .* it is bf16 \[1, 2\]/],
])('a seed %s is refused', (_, seed, message) => {
  const ctx = taped();
  const x = leaf(numbers(1, 2));
  const root = doubled(ctx, x);
  expect(() => backward(ctx.tape, root, { seed, leaves: [x] })).toThrow(message);
});

it('an option that backward does not have is refused by name', () => {
  const ctx = taped();
  const x = leaf(numbers(1));
  const options = { leafs: [x] } as object;
  expect(() => backward(ctx.tape, doubled(ctx, x), options)).toThrow(/there is no option `leafs`.*`leaves`/);
});

it('a root of a type of two bytes starts from a 1 of its type', () => {
  const ctx = taped();
  const one = (value: number): FloatTensor =>
    leaf(viewOf('bf16', [1, 1], narrowHalves('bf16', Float32Array.of(value))));
  const [gate, up] = [one(2), one(3)];
  const { y } = apply(ctx, differentiableActivationGate, { gate, up }, { kind: 'silu' });
  const [gradient] = backward(ctx.tape, y, { leaves: [up] });
  const silu = 2 / (1 + Math.exp(-2));
  expect([gradient!.dtype, [...hostData(gradient!)]]).toEqual([
    'bf16',
    [...narrowHalves('bf16', Float32Array.of(silu))],
  ]);
});

it('a root that was written over an earlier result can still be read', () => {
  const ctx = taped();
  const x = leaf(numbers(1, 2));
  const root = backend.memory.scoped(() => {
    const y = apply(ctx, differentiableAdd, { a: x, b: doubled(ctx, x) }, {}, { y: 'b' }).y;
    backward(ctx.tape, y, { seed: numbers(1, 10), leaves: [x] });
    expect(isReleased(y.view)).toBe(false);
    return valuesOf(y.view);
  });
  expect(root).toEqual([3, 6]);
});

it('a factor on the loss of a trained head is refused, because its gradient is there already', () => {
  const ctx = taped();
  const head = new Parameter('head', f32View([3, 2], [1, 2, 3, 4, 5, 6]));
  head.makeTrainable(backend.memory);
  hostData(head.gradient!).fill(0);
  const { loss } = apply(
    ctx,
    differentiableLinearCrossEntropy,
    {
      x: leaf(numbers(1, 2)),
      weight: head as never,
      targets: constant(i32View([1], [1])),
      tokenWeights: undefined,
    },
    { computeDtype: 'f32', lossScale: 1, gradient: true },
  );
  const half = apply(ctx, differentiableScaleBy, { x: loss, factor: constant(f32View([1], [0.5])) }, {}).y;
  expect(() => backward(ctx.tape, half)).toThrow(
    /where weight is trained, the loss must be the root of backward/,
  );
});
