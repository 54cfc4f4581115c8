import { createHostBackend, defineOp, f32Array, f32View, hostData, type ArrayView } from '@qdylora/contract';
import { expect, it } from 'vitest';
import { apply, gradcheck, type DifferentiableOp, type Recorder, type Tensor } from '../index.ts';

type F32 = ArrayView<'f32'>;

/** y = Σ x, with a gradient that the test chooses. */
const sum = defineOp({
  name: 'test/sum',
  takes: { x: f32Array(1) },
  shapes: (_: { x: F32 }, __: { readonly gradient: readonly number[] }) => ({
    y: { dtype: 'f32' as const, shape: [1] },
  }),
  reference: ({ x }, { y }: { y: F32 }) => {
    hostData(y)[0] = hostData(x).reduce((total, value) => total + value, 0);
  },
});
const differentiableSum: DifferentiableOp<typeof sum> = {
  op: sum,
  backward: ({ inputs, attributes }) => ({
    x: f32View(inputs.x.shape, Float32Array.from(attributes.gradient)),
  }),
};

const checked = (gradient: readonly number[], step?: number) => {
  const backend = createHostBackend();
  const scalar = (recorder: Recorder, [x]: readonly Tensor<F32>[]): Tensor<F32> =>
    apply(recorder, differentiableSum, { x }, { gradient }).y;
  const result = gradcheck(backend, scalar, [f32View([4], [1, 2, 3, 4])], step);
  expect(backend.memory.usage().liveBytes).toBe(0);
  return result;
};

it('finds the entry whose gradient is wrong, and none where all are right', () => {
  expect(checked([1, 1, 3, 1])).toMatchObject({ worst: 2, input: 0, index: 2, analytic: 3, numeric: 1 });
  expect(checked([1, 1, 1, 1])).toMatchObject({ worst: 0, input: -1, index: -1 });
});

it('a gradient that is NaN is the worst, wherever it is', () => {
  for (const index of [0, 1, 2, 3]) {
    const gradient = [100, 1, 100, 1].map((value, i) => (i === index ? NaN : value));
    expect(checked(gradient)).toMatchObject({ worst: NaN, input: 0, index });
  }
});

it.each([0, -0.01, NaN])('a step of %d is refused', (step) => {
  expect(() => checked([1, 1, 1, 1], step)).toThrow(/^\[gradcheck\] The step must be above 0 \(got /);
});
