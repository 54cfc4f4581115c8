import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadDataset, openDataset, type Example } from '../src/index.ts';
import { rowHash } from '../src/rows/row-hash.ts';
import { heldOutRule } from '../src/dataset/held-out-rule.ts';
import { jsonl, temporaryFiles } from './temporary-files.ts';

const files = temporaryFiles();
const rowsOf = (count: number): object[] => Array.from({ length: count }, (_, i) => ({ input_ids: [i, i] }));
const load = (rows: readonly object[], heldOut: number, seed = 0, more: object = {}) =>
  loadDataset(files.write('rows.jsonl', jsonl(...rows)), { tokenizer: null, heldOut, seed, ...more });
const firsts = (examples: readonly Example[]): number[] => examples.map(({ ids }) => ids[0]);
const numberOf = (rule: ReturnType<typeof heldOutRule>, hashes: readonly number[]): number[] => {
  hashes.forEach((hash, row) => {
    rule.add(row, hash);
  });
  return rule.heldOut();
};

describe('held-out rows', () => {
  it('and training rows are all the rows, each once, in the order of the file', async () => {
    const { training, heldOut } = await load(rowsOf(40), 10, 3);
    expect(heldOut.length).toBe(10);
    expect([...firsts(training), ...firsts(heldOut)].sort((a, b) => a - b)).toEqual(
      Array.from({ length: 40 }, (_, i) => i),
    );
    expect(training.length).toBe(30);
    for (const part of [training, heldOut]) expect(firsts(part)).toEqual(firsts(part).sort((a, b) => a - b));
  });

  it('are found in linear time where very many rows are equal', () => {
    const rule = heldOutRule(1);
    for (let row = 0; row < 300_000; row++) rule.add(row, (row % 2) / 2);
    expect(rule.heldOut()).toHaveLength(150_000);
  });

  it('are chosen by the seed', async () => {
    const choose = async (seed: number): Promise<number[]> =>
      firsts((await load(rowsOf(40), 0.25, seed)).heldOut);
    expect(await choose(3)).toEqual(await choose(3));
    expect(await choose(3)).not.toEqual(await choose(4));
  });

  it('of a fraction never change sides when rows come in, anywhere in the file', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(1000), fc.integer({ min: 1, max: 60 }), fc.nat(59), async (seed, more, at) => {
        const old = rowsOf(60);
        const fresh = Array.from({ length: more }, (_, i) => ({ input_ids: [1000 + i, 7] }));
        const before = firsts((await load(old, 0.2, seed)).heldOut);
        const after = firsts(
          (await load([...old.slice(0, at), ...fresh, ...old.slice(at)], 0.2, seed)).heldOut,
        );
        expect(after.filter((id) => id < 1000)).toEqual(before);
      }),
      { numRuns: 20 },
    );
  });

  it(
    'never share their content with a training row, also under another order of keys, spaces or an id of ' +
      'their own',
    async () => {
      const rows = Array.from({ length: 50 }, (_, i) => ({
        question: `q ${i % 10}`,
        answer: `a ${i % 10}`,
        id: i,
      }));
      const twins = rows
        .map(({ question, answer, id }, i) =>
          i % 2
            ? `{"id": ${id},  "answer" : "${answer}", "question": "${question}"}`
            : JSON.stringify({ question, answer, id }),
        )
        .join('\n');
      const tokenizer = (await import('./fixtures.ts')).fixtureTokenizer('tiny-llama2-style');
      const { training, heldOut } = await loadDataset(files.write('twins.jsonl', twins), {
        tokenizer,
        heldOut: 0.3,
        seed: 1,
      });
      const words = (examples: readonly Example[]): Set<string> =>
        new Set(examples.map(({ ids }) => tokenizer.decode(ids)));
      expect(heldOut.length % 5).toBe(0);
      expect(heldOut.length).toBeGreaterThan(0);
      expect([...words(heldOut)].filter((text) => words(training).has(text))).toEqual([]);
    },
  );

  it(
    'of a count are exactly so many of different rows, those with the smallest hashes, in any order of ' +
      'arrival',
    () => {
      fc.assert(
        fc.property(
          fc.uniqueArray(fc.double({ min: 0, max: 0.999, noNaN: true }), {
            minLength: 2,
            maxLength: 3000,
            size: 'max',
          }),
          fc.nat(),
          (hashes, pick) => {
            const count = 1 + (pick % (hashes.length - 1));
            const bound = [...hashes].sort((a, b) => a - b)[count - 1];
            expect(numberOf(heldOutRule(count), hashes)).toEqual(
              hashes.flatMap((hash, row) => (hash <= bound ? [row] : [])),
            );
          },
        ),
        { numRuns: 50 },
      );
    },
  );

  it('of a count take in the equals of the last one, so that they stay on one side', () => {
    expect(numberOf(heldOutRule(1), [0.5, 0.2, 0.9, 0.2])).toEqual([1, 3]);
  });

  it('are about the share that was asked for', () => {
    const hashes = Array.from({ length: 20_000 }, (_, i) => rowHash([`row ${i}`], 5));
    const count = numberOf(heldOutRule(0.1), hashes).length;
    // five standard deviations of a binomial count
    expect(Math.abs(count - 2000)).toBeLessThan(5 * Math.sqrt(20_000 * 0.1 * 0.9));
  });

  it('cannot be all rows, fewer than none, or a fraction that no row falls into', async () => {
    for (const heldOut of [40, -1, 1.5, Number.NaN])
      await expect(load(rowsOf(40), heldOut)).rejects.toMatchObject({ code: 'BAD_CONFIG' });
    await expect(load(rowsOf(3), 1e-9)).rejects.toThrow(
      /\[val_set_size\] `val_set_size` must be a share that a row of the 3 falls into/,
    );
  });

  it('are taken from the first `limit` rows', async () => {
    const { training, heldOut, report } = await load(rowsOf(40), 2, 0, { limit: 8 });
    expect([training.length, heldOut.length, report.rows]).toEqual([6, 2, 8]);
    expect(Math.max(...firsts(training), ...firsts(heldOut))).toBeLessThan(8);
  });

  it('is refused where so many rows are equal that all would be held out together', async () => {
    const equal = Array.from({ length: 40 }, () => ({ input_ids: [1, 2, 3] }));
    await expect(load(equal, 4)).rejects.toThrow(
      /\[val_set_size\] No rows are left for training beside 4 held-out ones.*Remove rows that occur/,
    );
    await expect(load(equal, 40)).rejects.toThrow(/is 40, but only 40 rows are left\. Lower/);
    expect((await load([...equal, { input_ids: [4, 5] }], 1)).heldOut.length).toBeGreaterThan(0);
  });
});

it.each([-1, NaN, 1.5, Infinity])('a val_set_size of %s is no size, and is told what is one', (heldOut) => {
  expect(() => heldOutRule(heldOut)).toThrow(
    /must be a whole number ≥ 0, or a fraction below 1 \(got .*\)\. Give a count of rows \(200\), a fraction/,
  );
});

describe('a val_set_size that leaves no row for training', () => {
  it('is refused with the reasons for dropping the other rows', async () => {
    const rows = [...rowsOf(3), ...Array.from({ length: 5 }, () => ({ input_ids: [7] }))];
    const path = files.write('short.jsonl', jsonl(...rows));
    const options = { tokenizer: null, heldOut: 4, seed: 0 };
    const problem = /is 4, but only 3 rows are left\. Others were dropped: 5 × fewer than two tokens/;
    await expect(loadDataset(path, options)).rejects.toThrow(problem);
    for (const measure of [true, false])
      await expect(openDataset(path, { ...options, measure })).rejects.toThrow(problem);
  });

  it('is refused as a share, whatever the hashes are', () => {
    expect(() => numberOf(heldOutRule(0.9), [0.1, 0.5])).toThrow(
      /`val_set_size` puts all of the 2 rows on the held/,
    );
  });
});

describe('the fingerprint of rows', () => {
  const fingerprintOf = (hashes: readonly number[]): string => {
    const rule = heldOutRule(0);
    hashes.forEach((hash, row) => {
      rule.add(row, hash);
    });
    expect(rule.fingerprint()).toBe(rule.fingerprint());
    return rule.fingerprint();
  };

  it('is that of the same rows in the same order alone', () => {
    const hashes = fc
      .integer({ min: 1, max: 2500 })
      .map((count) => Array.from({ length: count }, (_, i) => rowHash([i], 0)));
    fc.assert(
      fc.property(hashes, fc.nat(), fc.nat(), (rows, one, other) => {
        const changed = [...rows];
        const [i, j] = [one % rows.length, other % rows.length];
        [changed[i], changed[j]] = [changed[j], changed[i]];
        expect(fingerprintOf(changed) === fingerprintOf(rows)).toBe(i === j);
        expect(
          new Set(
            [rows, [...rows, rows[i]], rows.slice(1), rows.with(i, rowHash(['other'], 0))].map(fingerprintOf),
          ).size,
        ).toBe(4);
      }),
      { numRuns: 50 },
    );
  });

  it('of a dataset does not depend on whether it is streamed', async () => {
    const file = files.write('print.jsonl', jsonl(...rowsOf(1500)));
    const { report } = await loadDataset(file, { tokenizer: null });
    using opened = await openDataset(file, { tokenizer: null });
    expect(opened.report.fingerprint).toBe(report.fingerprint);
  });
});
