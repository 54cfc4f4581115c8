import { createRng } from '@qdylora/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ExampleLosses } from '../example-losses.ts';
import { aurac } from './aurac.ts';
import { criticalT } from './critical-t.ts';
import { detectableDifference } from './detectable-difference.ts';
import { holmBonferroni } from './holm-bonferroni.ts';
import { pairedTTest } from './paired-t-test.ts';
import { ratioEstimate } from './ratio-estimate.ts';
import { studentTPValue } from './student-t-p-value.ts';

const number = fc.double({ min: -1e3, max: 1e3, noNaN: true });
const pValue = fc.double({ min: 0, max: 1, noNaN: true });

describe("Student's t", () => {
  it("with one degree of freedom is Cauchy's: 1 − (2/π)·atan|t|", () => {
    fc.assert(
      fc.property(number, (t) => {
        expect(studentTPValue(t, 1)).toBeCloseTo(1 - (2 / Math.PI) * Math.atan(Math.abs(t)), 12);
      }),
    );
  });
  it('with two degrees of freedom is 1 − |t| / √(2 + t²)', () => {
    fc.assert(
      fc.property(number, (t) => {
        expect(studentTPValue(t, 2)).toBeCloseTo(1 - Math.abs(t) / Math.sqrt(2 + t * t), 12);
      }),
    );
  });
  it('falls as |t| grows, from 1 at 0 towards 0', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 50, noNaN: true }),
        fc.double({ min: 0.001, max: 5, noNaN: true }),
        fc.integer({ min: 1, max: 5000 }),
        (t, more, dof) => {
          expect(studentTPValue(0, dof)).toBe(1);
          expect(studentTPValue(t + more, dof)).toBeLessThanOrEqual(studentTPValue(t, dof));
          expect(studentTPValue(-t, dof)).toBe(studentTPValue(t, dof));
        },
      ),
    );
  });
  // Two-sided 5 % points as printed in every table, to three decimals: the slope there is below 0.1, half a
  // unit in the last place moves p by less than 1e-4.
  it.each([
    [12.706, 1],
    [4.303, 2],
    [2.571, 5],
    [2.228, 10],
    [2.086, 20],
    [2.042, 30],
    [1.98, 120],
    [1.96, 1e7],
  ])('at %d with %d degrees of freedom is 5 %%', (t, dof) => {
    expect(Math.abs(studentTPValue(t, dof) - 0.05)).toBeLessThan(1e-4);
  });
  it('is 0 at infinity and NaN at NaN', () => {
    expect([studentTPValue(Infinity, 3), studentTPValue(NaN, 3)]).toEqual([0, NaN]);
  });
  it('has its p-value at the critical t', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1e-6, max: 0.999, noNaN: true }),
        fc.integer({ min: 1, max: 5000 }),
        (p, dof) => {
          expect(studentTPValue(criticalT(p, dof), dof) / p).toBeCloseTo(1, 9);
        },
      ),
    );
  });
  // t.ppf(0.975, n − 1) + t.ppf(0.8, n − 1) of SciPy 1.17
  it.each([
    [3, 5.363312901529284],
    [8, 3.2606538959065],
    [200, 2.81538774418905],
    [10000, 2.801858446358074],
  ])('with %d examples a difference of %d standard errors is detectable', (examples, expected) => {
    expect(detectableDifference([1, 2, 1.5], examples)! / 2).toBeCloseTo(expected, 8);
  });
  it('detects nothing with one example, and has no figure without comparisons', () => {
    expect([detectableDifference([NaN], 1), detectableDifference([], 5)]).toEqual([NaN, null]);
  });
});

describe('Holm–Bonferroni', () => {
  it("keeps the order, never lowers a p, never exceeds Bonferroni's, and stays within 1", () => {
    fc.assert(
      fc.property(fc.array(pValue, { maxLength: 12 }), (pValues) => {
        const adjusted = holmBonferroni(pValues);
        pValues.forEach((p, i) => {
          expect(adjusted[i]).toBeGreaterThanOrEqual(p);
          expect(adjusted[i]).toBeLessThanOrEqual(Math.min(1, pValues.length * p) || 0);
          pValues.forEach((q, j) => {
            if (p < q) expect(adjusted[i]).toBeLessThanOrEqual(adjusted[j]);
          });
        });
      }),
    );
  });
  it('does not depend on the order given', () => {
    fc.assert(
      fc.property(fc.uniqueArray(pValue, { maxLength: 8 }), (pValues) => {
        expect(holmBonferroni([...pValues].reverse())).toEqual(holmBonferroni(pValues).reverse());
      }),
    );
  });
  it('of 0.01, 0.04, 0.03, 0.005 is 0.03, 0.06, 0.06, 0.02', () => {
    expect(holmBonferroni([0.01, 0.04, 0.03, 0.005])).toEqual([0.03, 0.06, 0.06, 0.02]);
  });
  it('leaves NaN out of the count', () => {
    expect(holmBonferroni([NaN, 0.02, 0.5])).toEqual([NaN, 0.04, 0.5]);
  });
});

describe('the ratio estimate', () => {
  it('with one token an example is the sample mean, with sd/√n for its error', () => {
    fc.assert(
      fc.property(fc.array(number, { minLength: 2, maxLength: 20 }), (values) => {
        const n = values.length;
        const average = values.reduce((a, b) => a + b) / n;
        const sd = Math.sqrt(values.reduce((sum, x) => sum + (x - average) ** 2, 0) / (n - 1));
        const { mean, standardError } = ratioEstimate({
          sums: Float64Array.from(values),
          counts: new Float64Array(n).fill(1),
        });
        expect(mean + 0).toBe(average + 0); // −0 is 0
        expect(Math.abs(standardError - sd / Math.sqrt(n))).toBeLessThanOrEqual(1e-12 * (1 + sd));
      }),
    );
  });
  it('is no surer when every token of an example is there twice: copies are no new evidence', () => {
    const one = { sums: Float64Array.of(1, 4, 2, 8), counts: Float64Array.of(1, 2, 1, 3) };
    const doubled = { sums: one.sums.map((s) => 2 * s), counts: one.counts.map((c) => 2 * c) };
    expect(ratioEstimate(doubled)).toEqual(ratioEstimate(one));
  });
  it('has an error that the spread of repeated samples confirms', () => {
    // 400 samples of 50 examples whose tokens are correlated within an example. The mean of 400 variances has
    // about 5 % noise, the variance of 400 means about 7 %.
    const rng = createRng(11);
    const results = Array.from({ length: 400 }, (_, sample) => {
      const counts = Float64Array.from({ length: 50 }, (_e, i) => 1 + Math.floor(rng.uniform(sample, i) * 9));
      return ratioEstimate({
        counts,
        sums: counts.map((count, i) => count * (2 + rng.named('x').normal(sample, i))),
      });
    });
    const average = results.reduce((sum, { mean }) => sum + mean, 0) / 400;
    const spread = Math.sqrt(results.reduce((sum, { mean }) => sum + (mean - average) ** 2, 0) / 399);
    const said = Math.sqrt(results.reduce((sum, { standardError }) => sum + standardError ** 2, 0) / 400);
    expect(said / spread).toBeGreaterThan(0.85);
    expect(said / spread).toBeLessThan(1.15);
  });
});

describe('the paired difference', () => {
  const losses = fc
    .integer({ min: 2, max: 12 })
    .chain((n) =>
      fc.record({
        first: fc.array(number, { minLength: n, maxLength: n }),
        second: fc.array(number, { minLength: n, maxLength: n }),
        counts: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: n, maxLength: n }),
      }),
    )
    .map(
      ({ first, second, counts }) =>
        [
          { sums: Float64Array.from(first), counts: Float64Array.from(counts) },
          { sums: Float64Array.from(second), counts: Float64Array.from(counts) },
        ] as [ExampleLosses, ExampleLosses],
    );

  it('changes its sign, and nothing else, when the two change places', () => {
    fc.assert(
      fc.property(losses, ([a, b]) => {
        const one = pairedTTest(a, b);
        const other = pairedTTest(b, a);
        expect(other.mean + one.mean).toBe(0);
        expect([other.standardError, other.pValue]).toEqual([one.standardError, one.pValue]);
      }),
    );
  });
  it('is the difference of the two means', () => {
    fc.assert(
      fc.property(losses, ([a, b]) => {
        expect(pairedTTest(a, b).mean).toBeCloseTo(ratioEstimate(a).mean - ratioEstimate(b).mean, 9);
      }),
    );
  });
  it('is not moved by what makes an example hard for both', () => {
    const counts = Float64Array.of(1, 1, 1, 1);
    const easy: ExampleLosses = { sums: Float64Array.of(1, 1.25, 1.5, 1.25), counts };
    const base: ExampleLosses = { sums: Float64Array.of(1.5, 1.5, 2, 1.5), counts };
    const harder = ({ sums }: ExampleLosses): ExampleLosses => ({
      counts,
      sums: sums.map((sum, i) => sum + [0, 64, 8, 1024][i]),
    });
    expect(pairedTTest(harder(easy), harder(base))).toEqual(pairedTTest(easy, base));
  });
  it('of equals has p 1; of a constant shift, p 0; of one example, p 1', () => {
    const a: ExampleLosses = { sums: Float64Array.of(1, 2), counts: Float64Array.of(1, 1) };
    const shifted = { ...a, sums: a.sums.map((s) => s + 1) };
    const one = (x: number): ExampleLosses => ({ sums: Float64Array.of(x), counts: Float64Array.of(1) });
    expect(
      [pairedTTest(a, a), pairedTTest(shifted, a), pairedTTest(one(1), one(9))].map(({ pValue: p }) => p),
    ).toEqual([1, 0, 1]);
  });
  it('of 1, 2, 3, 4 has t = √15 with three degrees of freedom, whose p has a closed form', () => {
    const counts = new Float64Array(4).fill(1);
    const { pValue: p } = pairedTTest(
      { sums: Float64Array.of(1, 2, 3, 4), counts },
      { sums: new Float64Array(4), counts },
    );
    const scaled = Math.sqrt(15 / 3);
    expect(p).toBeCloseTo(1 - (2 / Math.PI) * (Math.atan(scaled) + scaled / (1 + 15 / 3)), 12);
  });
  it('refuses losses of other examples', () => {
    expect(() =>
      pairedTTest(
        { sums: Float64Array.of(1), counts: Float64Array.of(1) },
        { sums: Float64Array.of(1), counts: Float64Array.of(2) },
      ),
    ).toThrow(/the same examples/);
  });
  it('calls a difference that is not there significant about once in twenty', () => {
    const rng = createRng(23);
    const trials = 2000;
    let found = 0;
    for (let trial = 0; trial < trials; trial++) {
      const counts = Float64Array.from({ length: 30 }, (_, i) => 1 + Math.floor(rng.uniform(trial, i) * 5));
      const side = (name: string): ExampleLosses => ({
        counts,
        sums: counts.map((count, i) => count * rng.named(name).normal(trial, i)),
      });
      if (pairedTTest(side('a'), side('b')).pValue < 0.05) found++;
    }
    // 5 % of 2,000 is 100 ± 10; unequal counts make the linearized error a little small.
    expect(found).toBeGreaterThan(60);
    expect(found).toBeLessThan(150);
  });
});

describe('the area under the rank curve', () => {
  const curve = fc
    .uniqueArray(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 7 })
    .chain((ranks) =>
      fc.tuple(
        fc.constant([...ranks].sort((a, b) => a - b)),
        fc.array(number, { minLength: ranks.length, maxLength: ranks.length }),
      ),
    );
  it('of a constant gain is that gain, over either axis', () => {
    fc.assert(
      fc.property(curve, number, ([ranks], gain) => {
        for (const axis of ['log2', 'linear'] as const)
          expect(
            aurac(
              ranks,
              ranks.map(() => gain),
              axis,
            ),
          ).toBeCloseTo(gain, 9);
      }),
    );
  });
  it('lies between the smallest and the largest gain', () => {
    fc.assert(
      fc.property(curve, ([ranks, gains]) => {
        for (const axis of ['log2', 'linear'] as const) {
          expect(aurac(ranks, gains, axis)).toBeGreaterThanOrEqual(Math.min(...gains) - 1e-9);
          expect(aurac(ranks, gains, axis)).toBeLessThanOrEqual(Math.max(...gains) + 1e-9);
        }
      }),
    );
  });
  it('of a gain that is the axis itself is the middle of it', () => {
    expect(aurac([1, 2, 8], [0, 1, 3], 'log2')).toBe(1.5);
    expect(aurac([1, 2, 8], [1, 2, 8], 'linear')).toBe(4.5);
  });
  it.each([
    [[], []],
    [[1, 2], [1]],
    [
      [2, 1],
      [0, 0],
    ],
    [
      [1, 1],
      [0, 0],
    ],
    [
      [0, 1],
      [0, 0],
    ],
  ])('refuses the ranks %j with the gains %j', (ranks, gains) => {
    expect(() => aurac(ranks, gains, 'log2')).toThrow(/must be/);
  });
});
