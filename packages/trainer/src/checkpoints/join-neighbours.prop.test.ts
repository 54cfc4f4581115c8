import fc from 'fast-check';
import { expect, test } from 'vitest';
import { joinNeighbours } from './join-neighbours.ts';

/** Buffers cut into stretches, some of which are left out. */
const cuts = fc.array(
  fc.array(fc.record({ length: fc.integer({ min: 1, max: 5 }), isKept: fc.boolean() }), { maxLength: 8 }),
  { maxLength: 4 },
);

test(
  'neighbours that are joined hold every number of the arrays once, and no other; what is left touches ' +
    'nothing',
  () => {
    fc.assert(
      fc.property(cuts, fc.nat(), (buffers, seed) => {
        const arrays = buffers.flatMap((stretches) => {
          const buffer = new ArrayBuffer(4 * stretches.reduce((sum, { length }) => sum + length, 0));
          let from = 0;
          return stretches.flatMap(({ length, isKept }) => {
            const array = new Float32Array(buffer, 4 * from, length);
            from += length;
            return isKept ? [array] : [];
          });
        });
        const shuffled = [...arrays].sort(
          (a, b) => ((a.byteOffset * 7919 + seed) % 13) - ((b.byteOffset * 7919 + seed) % 13),
        );
        const joined = joinNeighbours(shuffled);
        for (const array of joined) for (let i = 0; i < array.length; i++) array[i] += 1;
        expect(arrays.every((array) => array.every((value) => value === 1))).toBe(true);
        expect(joined.reduce((sum, { length }) => sum + length, 0)).toBe(
          arrays.reduce((sum, { length }) => sum + length, 0),
        );
        expect(
          joined.some((a) =>
            joined.some((b) => a.buffer === b.buffer && a.byteOffset + a.byteLength === b.byteOffset),
          ),
        ).toBe(false);
      }),
    );
  },
);
