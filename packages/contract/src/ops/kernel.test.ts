import { expect, it } from 'vitest';
import {
  bindKernel,
  createHostBackend,
  defineOp,
  f32Array,
  f32View,
  hostData,
  kernelTable,
  QdyloraError,
  runOp,
  type ArrayView,
} from '../index.ts';

type F32 = ArrayView<'f32'>;

/** y[i] = f(a[i]), under a name that other ops may have too. */
const mapped = (f: (a: number) => number) =>
  defineOp({
    name: 'mapped',
    takes: { a: f32Array(1) },
    shapes: (i: { a: F32 }, _: object) => ({ y: { dtype: 'f32' as const, shape: i.a.shape } }),
    reference: ({ a }, { y }: { y: F32 }) => hostData(y).set(hostData(a).map(f)),
  });

/** y[i] = −a[i], written elsewhere than `mapped`. */
const mappedBackwards = () =>
  defineOp({
    name: 'mapped',
    takes: { a: f32Array(1) },
    shapes: (i: { a: F32 }, _: object) => ({ y: { dtype: 'f32' as const, shape: i.a.shape } }),
    reference: (i, o: { y: F32 }) => hostData(o.y).set(hostData(i.a).map((x) => -x)),
  });

const doubled = mapped((a) => 2 * a);
const kernels = kernelTable([bindKernel(doubled, ({ a }, { y }) => doubled.reference({ a }, { y }, {}))]);
const backend = { ...createHostBackend(), kernel: (name: string) => kernels.get(name)?.run };
const a = f32View([2], [1, 2]);

it('a kernel runs for its own op, also for a second copy of it', () => {
  expect([...hostData(runOp(backend, doubled, { a }, {}).y)]).toEqual([2, 4]);
  const copy = { ...doubled, reference: new Function(`return ${String(doubled.reference)}`)() as never };
  expect([...hostData(runOp(backend, copy, { a }, {}).y)]).toEqual([2, 4]);
});

it('another op of that name is refused, not computed by the kernel', () => {
  const negated = mappedBackwards();
  expect([...hostData(runOp(createHostBackend(), negated, { a }, {}).y)]).toEqual([-1, -2]);
  expect(() => runOp(backend, negated, { a }, {})).toThrow(
    /^\[mapped\] the backend .* has a kernel for another op of this name\. Give your op a name of its own/,
  );
});

it('a table of two kernels of one name is refused', () => {
  const twice = [doubled, mapped((x) => x)].map((op) => bindKernel(op, () => {}));
  expect(() => kernelTable(twice)).toThrow(QdyloraError);
});
