import { i32View, shapeOnly } from '@qdylora/contract';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { causalAttention, causalAttentionBackward } from './causal-attention.ts';

test(
  "an attention counts a multiply-add for each entry of a query's score and of its sum, for each key " +
    'that the query sees',
  () => {
    const segment = fc.record({ queries: fc.nat(9), earlier: fc.nat(9) });
    const arbitrary = fc.record({
      segments: fc.array(segment, { maxLength: 4 }),
      window: fc.nat(12),
      heads: fc.integer({ min: 1, max: 3 }),
    });
    fc.assert(
      fc.property(arbitrary, ({ segments, window, heads }) => {
        const ends = (lengths: number[]) =>
          i32View(
            [lengths.length + 1],
            Int32Array.from(lengths.reduce((all, length) => [...all, all.at(-1)! + length], [0])),
          );
        const querySegments = ends(segments.map(({ queries }) => queries));
        const keySegments = ends(segments.map(({ queries, earlier }) => queries + earlier));
        let seen = 0;
        for (const { queries, earlier } of segments)
          for (let query = 0; query < queries; query++)
            seen += Math.min(query + earlier + 1, window || Infinity);
        const flops = causalAttention.flops!({ querySegments, keySegments } as never, {
          heads,
          kvHeads: 1,
          headDim: 8,
          scale: 1,
          softCap: 0,
          window,
          computeDtype: 'f32',
        });
        expect(flops).toBe(4 * 8 * heads * seen);
      }),
    );
  },
);

test('an attention whose segments are on a device has no count of operations', () => {
  const segments = shapeOnly('i32', [3]);
  const attributes = { heads: 1, kvHeads: 1, headDim: 8, window: 0 };
  for (const op of [causalAttention, causalAttentionBackward])
    expect(op.flops!({ querySegments: segments, keySegments: segments } as never, attributes as never)).toBe(
      undefined,
    );
});
