import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collate, textWindows } from '../src/index.ts';

describe('textWindows', () => {
  it('gives the text back when its windows are joined, all full but the last', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(999), { maxLength: 60 }),
        fc.integer({ min: 2, max: 20 }),
        (ids, length) => {
          const windows = textWindows(ids, length);
          expect(windows.flatMap((window) => Array.from(window.ids))).toEqual(ids);
          for (const window of windows.slice(0, -1)) expect(window.ids.length).toBe(length);
        },
      ),
    );
  });

  it('predicts every token but the first of each window', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(999), { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 2, max: 20 }),
        (ids, length) => {
          const windows = textWindows(ids, length);
          expect(collate(windows).predictedTokens).toBe(ids.length - windows.length);
        },
      ),
    );
  });

  it('refuses windows in which nothing is predicted', () => {
    expect(() => textWindows([1, 2, 3], 1)).toThrow(/`windowLength` must be .*≥ 2 \(got 1/);
  });
});
