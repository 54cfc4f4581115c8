import { hostData, createHostBackend, elementCount } from '@qdylora/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allocateSlabs, releaseSlabs } from './slabs.ts';

const shapes = fc.array(fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 2 }), { maxLength: 8 });

describe('slabs', () => {
  it('hold every array whole, on a cache line of its own, and nothing twice', () => {
    fc.assert(
      fc.property(shapes, fc.constantFrom<'f32' | 'u8'>('f32', 'u8'), (asked, dtype) => {
        const { memory } = createHostBackend();
        const { arrays, slabs } = allocateSlabs(memory, dtype, asked);
        expect(arrays.map((view) => [view.shape, hostData(view).length])).toEqual(
          asked.map((shape) => [shape, elementCount(shape)]),
        );
        for (const slab of slabs) hostData(slab).fill(0);
        for (const [i, view] of arrays.entries()) {
          const data = hostData(view);
          if (data.length > 0) expect((data.byteOffset - hostData(slabs[0]).byteOffset) % 64).toBe(0);
          data.fill(i + 1);
        }
        arrays.forEach((view, i) => {
          expect(hostData(view).every((value) => value === i + 1)).toBe(true);
        });
        const sum = (values: Iterable<number>): number => [...values].reduce((a, b) => a + b, 0);
        expect(slabs.reduce((total, slab) => total + sum(hostData(slab)), 0)).toBe(
          arrays.reduce((total, view, i) => total + (i + 1) * hostData(view).length, 0),
        ); // gaps stay 0
      }),
      { numRuns: 50 },
    );
  });

  it('outlive the scope that they are made in, and are given back whole', () => {
    const { memory } = createHostBackend();
    const own = memory.scoped(() => allocateSlabs(memory, 'f32', [[3], [2048, 2048], [5]]));
    // the large one would not fit beside the first
    expect([own.slabs.length, memory.usage().liveBytes]).toEqual([3, 64 + 2 ** 24 + 64]);
    releaseSlabs(memory, own);
    expect(memory.usage().liveBytes).toBe(0);
  });
});
