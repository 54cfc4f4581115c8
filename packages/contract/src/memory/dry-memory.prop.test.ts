import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  hostData,
  createDryBackend,
  createDryMemory,
  createHostBackend,
  createHostMemory,
  defineOp,
  f32Array,
  runOp,
  rowsOf,
  type ArrayView,
  type DType,
  type Memory,
} from '../index.ts';

type Action =
  | { readonly kind: 'allocate'; readonly dtype: DType; readonly length: number; readonly persists: boolean }
  | { readonly kind: 'release'; readonly which: number }
  | { readonly kind: 'scope'; readonly keeps: boolean; readonly body: readonly Action[] }
  | { readonly kind: 'trim' };

const actions = fc.letrec<{ actions: Action[] }>((tie) => ({
  actions: fc.array(
    fc.oneof(
      { depthSize: 'small' },
      fc.record({
        kind: fc.constant('allocate' as const),
        dtype: fc.constantFrom<DType>('f32', 'bf16', 'i32', 'u8'),
        length: fc.integer({ min: 0, max: 3000 }),
        persists: fc.boolean(),
      }),
      fc.record({ kind: fc.constant('release' as const), which: fc.nat(20) }),
      fc.record({ kind: fc.constant('trim' as const) }),
      fc.record({ kind: fc.constant('scope' as const), keeps: fc.boolean(), body: tie('actions') }),
    ),
    { maxLength: 12 },
  ),
})).actions;

/** Does the same to any memory. */
function play(memory: Memory, script: readonly Action[], live: ArrayView[] = []): ArrayView[] {
  for (const action of script) {
    switch (action.kind) {
      case 'allocate': {
        const view = memory.allocate(action.dtype, [action.length]);
        if (action.persists) memory.persist(view);
        live.push(view);
        break;
      }
      case 'release':
        if (live.length > 0) memory.release(live.splice(action.which % live.length, 1)[0]);
        break;
      case 'trim':
        memory.trim();
        break;
      case 'scope':
        memory.scoped(
          () => play(memory, action.body),
          (views) => (action.keeps ? views : []),
        );
    }
  }
  return live;
}

describe('dry memory', () => {
  test(
    'keeps the books of host memory after any sequence of allocations, releases and scopes: live, peak, ' +
      'touched and reserved',
    () => {
      fc.assert(
        fc.property(actions, (script) => {
          const host = createHostMemory({ regionBytes: 4096 });
          const dry = createDryMemory({ regionBytes: 4096 });
          play(host, script);
          play(dry, script);
          expect(dry.usage()).toEqual(host.usage());
        }),
      );
    },
  );

  test('has parts that add up to what is live, and to the peak', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), actions), { maxLength: 5 }), (phases) => {
        const dry = createDryMemory({ regionBytes: 4096 });
        for (const [part, script] of phases) {
          dry.begin(part);
          play(dry, script);
          dry.within('inside', () => play(dry, script));
        }
        const sum = (key: 'liveBytes' | 'peakBytes'): number =>
          dry.parts().reduce((total, part) => total + part[key], 0);
        const { liveBytes, peakBytes } = dry.usage();
        expect([sum('liveBytes'), sum('peakBytes')]).toEqual([liveBytes, peakBytes]);
      }),
    );
  });

  test('says which parts the peak consisted of, and after a reset those of the next', () => {
    const dry = createDryMemory();
    const weights = dry.within('weights', () => dry.allocate('f32', [1000]));
    dry.begin('step');
    dry.scoped(() => dry.allocate('f32', [64]));
    expect(dry.parts()).toEqual([
      { part: 'weights', liveBytes: 4032, peakBytes: 4032 },
      { part: 'step', liveBytes: 0, peakBytes: 256 },
    ]);
    dry.release(weights);
    dry.resetPeak();
    dry.allocate('bf16', [32]);
    expect(dry.parts()).toEqual([
      { part: 'weights', liveBytes: 0, peakBytes: 0 },
      { part: 'step', liveBytes: 64, peakBytes: 64 },
    ]);
  });

  test('has no peak after a reset when nothing is alive', () => {
    const dry = createDryMemory();
    dry.scoped(() => dry.allocate('f32', [64]));
    dry.resetPeak();
    expect(dry.parts()).toEqual([{ part: 'other', liveBytes: 0, peakBytes: 0 }]);
  });

  test('lends no bytes but those of indices, whatever the size', async () => {
    const dry = createDryMemory();
    const large = dry.allocate('f32', [2 ** 20, 2 ** 20]);
    const indices = dry.allocate('i32', [3]);
    dry.write(large, [1, 2]);
    dry.write(indices, [0, 5, 9]);
    dry.fill(large, () => {
      throw new Error('a memory without bytes asked for values');
    });
    expect(() => hostData(large)).toThrow('lies in dry memory, which JavaScript cannot read');
    expect([
      rowsOf(large, 7, 9).shape,
      [...hostData(indices)],
      [...(await dry.read(indices))],
      dry.usage().liveBytes,
    ]).toEqual([[2, 2 ** 20], [0, 5, 9], [0, 5, 9], 2 ** 42 + 64]);
  });
});

describe('a dry backend', () => {
  const pair = defineOp({
    name: 'no-backend-knows-this-op',
    takes: { x: f32Array(1) },
    shapes: ({ x }: { x: ArrayView<'f32'> }, { wide }: { wide: number }) => ({
      y: { dtype: 'f32' as const, shape: [wide] },
      z: { dtype: 'bf16' as const, shape: x.shape },
    }),
    reference: () => {
      throw new Error('arithmetic');
    },
  });

  test('runs an op that nobody has heard of by its shape rule alone, and counts what it makes', () => {
    const { memory, ...backend } = createDryBackend();
    const outputs = runOp(
      { memory, ...backend },
      pair,
      { x: memory.allocate('f32', [5]) },
      { wide: 10 ** 6 },
    );
    expect([outputs.y!.shape, outputs.z!.dtype, memory.usage().liveBytes]).toEqual([
      [10 ** 6],
      'bf16',
      64 + 4 * 10 ** 6 + 64,
    ]);
  });

  test('refuses what every backend refuses', () => {
    for (const { memory, ...rest } of [createHostBackend(), createDryBackend()]) {
      expect(() =>
        runOp(
          { memory, ...rest },
          pair,
          { x: memory.allocate('f32', [5]) },
          { wide: 2 },
          { y: memory.allocate('f32', [3]) },
        ),
      ).toThrow(/the output y must be f32 \[2\], but it is f32 \[3\]/);
    }
  });
});
