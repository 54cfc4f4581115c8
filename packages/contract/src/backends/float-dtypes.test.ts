import { describe, expect, test } from 'vitest';
import {
  createDryBackend,
  createHostBackend,
  defineOp,
  floatArray,
  floatDtypesOf,
  hostData,
  runOp,
  viewOf,
  type ArrayView,
  type Backend,
  type FloatDType,
  type FloatView,
} from '../index.ts';

/** y = 3 · x, in the type of x or of `outDtype`. */
const triple = defineOp({
  name: 'triple',
  takes: { x: floatArray(1) },
  halves: ['x', 'y'],
  shapes: ({ x }: { x: FloatView }, { outDtype }: { outDtype?: FloatDType }) => ({
    y: { dtype: outDtype ?? x.dtype, shape: x.shape },
  }),
  reference({ x }, { y }: { y: FloatView }) {
    hostData(y).set(hostData(x).map((value) => 3 * value));
  },
});

/** 1, 65504 and the smallest subnormal. */
const x = (): ArrayView<'f16'> => viewOf('f16', [3], Uint16Array.of(0x3c00, 0x7bff, 1));

describe('float16', () => {
  test('is widened for a reference, and its result is rounded once', () => {
    const { y } = runOp(createHostBackend(), triple, { x: x() }, {});
    // 3; 196512 is beyond the largest; three subnormal steps
    expect([y.dtype, ...hostData(y)]).toEqual(['f16', 0x4200, 0x7c00, 3]);
    const wide = runOp(createHostBackend(), triple, { x: x() }, { outDtype: 'f32' as const });
    expect(Array.from(hostData(wide.y))).toEqual([3, 196512, 3 * 2 ** -24]);
  });

  test('takes two bytes an element in a plan', () => {
    const backend = createDryBackend();
    const { y } = runOp(backend, triple, { x: backend.memory.allocate('f16', [100]) }, {});
    expect([y.dtype, y.storage.byteLength]).toEqual(['f16', 200]);
  });

  test('is refused by a backend that does not name it, with the types that it has', () => {
    const old: Backend = { ...createHostBackend(), name: 'old', floatDtypes: undefined };
    expect(floatDtypesOf(old)).toEqual(['f32', 'bf16']);
    expect(() => runOp(old, triple, { x: x() }, {})).toThrow(
      '[triple] the array x is f16, but the backend old computes in f32 and bf16 only. Use f32 or bf16, or ' +
        'another backend.',
    );
    const wide = viewOf('f32', [1], Float32Array.of(1));
    expect(() => runOp(old, triple, { x: wide }, { outDtype: 'f16' })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED', details: { dtype: 'f16', supported: ['f32', 'bf16'] } }),
    );
  });
});
