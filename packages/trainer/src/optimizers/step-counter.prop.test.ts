import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RowRange } from './optimizer.ts';
import { stepCounter, type StepCounter, type CountedRange } from './step-counter.ts';

const ROWS = 8;
const range = fc
  .tuple(fc.integer({ min: 0, max: ROWS }), fc.integer({ min: 0, max: ROWS }))
  .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
const advanced = (counter: StepCounter, rows: readonly RowRange[] | null): readonly CountedRange[] => {
  let seen: readonly CountedRange[] = [];
  counter.advance(rows, (ranges) => {
    seen = ranges;
  });
  return seen;
};
const update = fc.option(fc.array(range, { maxLength: 1 }), { nil: null });

describe('the step counter', () => {
  it('gives each row the number of updates that named it, whatever the other rows had', () => {
    fc.assert(
      fc.property(fc.array(update, { maxLength: 12 }), (updates) => {
        const counter = stepCounter();
        const own = new Array<number>(ROWS).fill(0);
        for (const rows of updates) {
          const touched = own.map(
            (_, row) => rows === null || rows.some(([from, to]) => row >= from && row < to),
          );
          touched.forEach((is, row) => {
            if (is) own[row]++;
          });
          const seen = new Array<number>(ROWS).fill(-1);
          for (const { from, to, step } of advanced(counter, rows))
            for (let row = from; row < Math.min(to, ROWS); row++) {
              expect(seen[row], 'a row in two ranges').toBe(-1);
              seen[row] = step;
            }
          expect(seen).toEqual(own.map((count, row) => (touched[row] ? count : -1)));
        }
      }),
    );
  });

  it('goes on after a load as if there had been none', () => {
    fc.assert(
      fc.property(fc.array(update, { maxLength: 6 }), fc.array(update, { maxLength: 6 }), (before, after) => {
        const first = stepCounter();
        const second = stepCounter();
        before.forEach((rows) => {
          advanced(first, rows);
        });
        second.load(first.counts());
        for (const rows of after) expect(advanced(second, rows)).toEqual(advanced(first, rows));
      }),
    );
  });

  it('counts nothing where the update throws', () => {
    fc.assert(
      fc.property(fc.array(update, { maxLength: 6 }), update, (before, refused) => {
        const counter = stepCounter();
        before.forEach((rows) => {
          advanced(counter, rows);
        });
        const counts = counter.counts();
        expect(() =>
          counter.advance(refused, () => {
            throw new Error('refused');
          }),
        ).toThrow('refused');
        expect(counter.counts()).toEqual(counts);
      }),
    );
  });
});
