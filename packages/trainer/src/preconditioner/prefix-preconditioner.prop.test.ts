import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRng, f32View, hostData } from '@qdylora/contract';
import type { UpdateRule } from '@qdylora/lora-dynamic';
import { goldenSums } from '@qdylora/testing/node';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HIDDEN, numbersOf, tinyAdapted, tinyBatch } from '../../test/tiny-model.ts';
import {
  accumulateGradients,
  adamw,
  clearGradients,
  prefixPreconditioner,
  sgd,
  trainStep,
  type Pass,
} from '../index.ts';
import { dampedInverse } from './damped-inverse.ts';

const RANK = 4;
type Tiny = ReturnType<typeof tinyAdapted>;
type Matrix = readonly (readonly number[])[];

const numbers = (view: Parameters<typeof hostData>[0]): Float32Array => hostData(view) as Float32Array;

/** The gradients of the passes, preconditioned: A and B of each layer. */
async function preconditioned(
  adapted: Tiny,
  passes: readonly Pass[],
  damping = 1e-2,
): Promise<Float32Array[]> {
  clearGradients(adapted.model, adapted.parameters());
  const tokens = passes.reduce((sum, { batch }) => sum + batch.predictedTokens, 0);
  await accumulateGradients(passes, 1 / tokens, f32View([passes.length]));
  await prefixPreconditioner(adapted, { damping }).precondition(passes);
  return adapted.parameters().map(({ gradient }) => Float32Array.from(numbers(gradient!)));
}

/** matrix · rows.  matrix: [n, n]  rows: [n, width] */
const times = (matrix: Matrix, rows: Float32Array): Float32Array => {
  const width = rows.length / matrix.length;
  return Float32Array.from(rows, (_, at) =>
    matrix[Math.floor(at / width)].reduce((sum, value, k) => sum + value * rows[k * width + (at % width)], 0),
  );
};

const transposed = (matrix: Matrix): Matrix => matrix[0].map((_, j) => matrix.map((row) => row[j]));

function expectNear(actual: Float32Array, expected: Float32Array, tolerance: number): void {
  const largest = Math.max(...expected.map(Math.abs));
  expect(largest).toBeGreaterThan(0);
  actual.forEach((value, i) => {
    expect(Math.abs(value - expected[i])).toBeLessThanOrEqual(tolerance * largest);
  });
}

/** How the product of an adapter is divided between A and B. */
interface Division {
  readonly scales: readonly number[];
  readonly angle: number;
  readonly shear: number;
}

interface DivisionArbitraries {
  readonly scales: fc.Arbitrary<readonly number[]>;
  readonly shear: fc.Arbitrary<number>;
}

/**
 * A matrix that mixes only rows of the same listed rank (1, 2, 4: rows 0, 1, and 2 with 3), so that every
 * prefix of (T⁻¹·A, Tᵀ·B) has the product of the prefix of (A, B), and its inverse.
 */
const keepsPrefixes = ({ scales, angle, shear }: Division) => {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  const block = [
    [scales[2] * (c - s * shear), -s * scales[2]],
    [scales[3] * (s + c * shear), c * scales[3]],
  ];
  const determinant = block[0][0] * block[1][1] - block[0][1] * block[1][0];
  const matrix = [
    [scales[0], 0, 0, 0],
    [0, scales[1], 0, 0],
    [0, 0, ...block[0]],
    [0, 0, ...block[1]],
  ];
  const inverse = [
    [1 / scales[0], 0, 0, 0],
    [0, 1 / scales[1], 0, 0],
    [0, 0, block[1][1] / determinant, -block[0][1] / determinant],
    [0, 0, -block[1][0] / determinant, block[0][0] / determinant],
  ];
  return { matrix, inverse };
};

/** Writes (T⁻¹·A, Tᵀ·B) into every layer. */
function transform({ layers }: Tiny, matrix: Matrix, inverse: Matrix): void {
  for (const { a, b } of layers) {
    numbers(a.view).set(times(inverse, numbers(a.view)));
    numbers(b.view).set(times(transposed(matrix), numbers(b.view)));
  }
}

describe('the inverse of a damped matrix', () => {
  it('times the damped matrix is 1, also where the matrix has fewer directions than rows', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 12 }),
        fc.nat(),
        (n, width, seed) => {
          const rng = createRng(seed);
          const rows = Float64Array.from({ length: n * width }, (_, i) => rng.normal(i));
          const gram = Float64Array.from({ length: n * n }, (_, at) => {
            let sum = 0;
            for (let k = 0; k < width; k++)
              sum += rows[Math.floor(at / n) * width + k] * rows[(at % n) * width + k];
            return sum;
          });
          const damping = 1e-2;
          const inverse = dampedInverse(gram, n, damping);
          for (let i = 0; i < n; i++)
            for (let j = 0; j < n; j++) {
              let sum = damping * inverse[i * n + j];
              for (let k = 0; k < n; k++) sum += gram[i * n + k] * inverse[k * n + j];
              // condition number below 1e5, float64
              expect(Math.abs(sum - (i === j ? 1 : 0))).toBeLessThan(1e-9);
            }
        },
      ),
    );
  });

  it('is finite where rounding has made an eigenvalue negative', () => {
    expect([...dampedInverse([1, 1.1, 1.1, 1], 2, 1e-2)].every(Number.isFinite)).toBe(true);
  });
});

describe('the prefix preconditioner', () => {
  it('at one rank is the Riemannian preconditioner of PEFT 0.21', async () => {
    const folder = fileURLToPath(new URL('../../fixtures/riemannian', import.meta.url));
    for (const { file, said, hash } of goldenSums(folder)) expect(hash, file).toBe(said);
    const golden = JSON.parse(readFileSync(join(folder, 'peft.json'), 'utf8')) as Record<string, Matrix> & {
      reg: number;
    };
    const adapted = tinyAdapted({ ranks: [RANK] });
    clearGradients(adapted.model, adapted.parameters());
    const [{ a, b }] = adapted.layers;
    expect([a.view.shape, b.view.shape]).toEqual([
      [RANK, HIDDEN],
      [RANK, HIDDEN],
    ]);
    const flat = (matrix: Matrix): number[] => matrix.flat();
    numbers(a.view).set(flat(golden.lora_A));
    numbers(b.view).set(flat(transposed(golden.lora_B)));
    numbers(a.gradient!).set(flat(golden.grad_A));
    numbers(b.gradient!).set(flat(transposed(golden.grad_B)));
    const pass = { view: adapted.atRank(RANK), batch: tinyBatch() };
    await prefixPreconditioner(adapted, { damping: golden.reg }).precondition([pass]);
    // Gram matrices in float32, of condition numbers up to 1e3
    expectNear(numbers(a.gradient!), Float32Array.from(flat(golden.preconditioned_A)), 1e-4);
    expectNear(numbers(b.gradient!), Float32Array.from(flat(transposed(golden.preconditioned_B))), 1e-4);
  });

  it.each<readonly [string, number, DivisionArbitraries, number]>([
    [
      'exactly, for rotations',
      1e-2,
      { scales: fc.constant<readonly number[]>([1, -1, 1, 1]), shear: fc.constant(0) },
      1e-4,
    ],
    [
      'for any division, as the damping goes to 0',
      1e-9,
      {
        scales: fc.array(fc.double({ min: 0.5, max: 2, noNaN: true }), { minLength: 4, maxLength: 4 }),
        shear: fc.double({ min: -1, max: 1, noNaN: true }),
      },
      2e-2,
    ],
  ])(
    'takes the step that does not depend on how the product is divided between A and B: %s',
    async (_, damping, { scales, shear }, tolerance) => {
      await fc.assert(
        fc.asyncProperty(
          fc.record({ scales, shear, angle: fc.double({ min: 0, max: 6, noNaN: true }) }),
          fc.nat(50),
          fc.constantFrom([1], [2], [RANK], [RANK, 1], [RANK, 2]),
          async (division, seed, ranks) => {
            const { matrix, inverse } = keepsPrefixes(division);
            const passesOf = (adapted: Tiny): Pass[] =>
              ranks.map((rank, i) => ({ view: adapted.atRank(rank), batch: tinyBatch(4, seed + i) }));
            const plain = tinyAdapted();
            const divided = tinyAdapted();
            transform(divided, matrix, inverse);
            const expected = await preconditioned(plain, passesOf(plain), damping);
            const actual = await preconditioned(divided, passesOf(divided), damping);
            expected.forEach((gradient, p) => {
              const change = p % 2 === 0 ? inverse : transposed(matrix); // A, B
              expectNear(actual[p], times(change, gradient), tolerance);
            });
          },
        ),
        { numRuns: 20 },
      );
    },
  );

  it('at rank b changes no other row, and does not read the rows beyond b', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(1, 2, 3),
        fc.nat(50),
        fc.constantFrom<UpdateRule>('prefix', 'newest_block'),
        async (rank, seed, updateRule) => {
          const gradientsWith = async (later: number): Promise<Float32Array[]> => {
            const adapted = tinyAdapted({ updateRule });
            for (const { view } of adapted.parameters()) numbers(view).fill(later, rank * HIDDEN);
            return preconditioned(adapted, [{ view: adapted.atRank(rank), batch: tinyBatch(4, seed) }]);
          };
          const gradients = await gradientsWith(0.5);
          expect(await gradientsWith(7)).toEqual(gradients);
          for (const gradient of gradients) {
            expect(gradient.subarray(rank * HIDDEN).every((value) => value === 0)).toBe(true);
            expect(gradient.subarray(0, rank * HIDDEN).some((value) => value !== 0)).toBe(true);
          }
        },
      ),
      { numRuns: 20 },
    );
  });

  it('of a step whose parts have one rank is that of the rank, however its tokens are divided', async () => {
    const batch = tinyBatch(4, 3);
    const middle = batch.segments[2];
    const adapted = tinyAdapted();
    const whole = await preconditioned(adapted, [{ view: adapted.atRank(2), batch }]);
    const parts = adapted.atRanks([
      { until: middle, rank: 2, weight: 1 },
      { until: batch.ids.length, rank: 2, weight: 1 },
    ]);
    expect(await preconditioned(adapted, [{ view: parts, batch }])).toEqual(whole);
  });

  it('changes neither the reported norm nor the clipping coefficient, and without it no bit', async () => {
    const stepOf = async (isOn: boolean) => {
      const adapted = tinyAdapted();
      const optimizer = adamw(adapted.parameters(), { learningRate: 0.1 });
      const preconditioner = isOn ? prefixPreconditioner(adapted) : null;
      const outcome = await trainStep(adapted.atRank(2), tinyBatch(), optimizer, { preconditioner });
      return { outcome, weights: numbersOf(adapted.parameters()) };
    };
    const plain = await stepOf(false);
    const changed = await stepOf(true);
    expect(changed.outcome).toEqual(plain.outcome);
    expect(changed.weights).not.toEqual(plain.weights);

    const clippedTo = async (maxGradNorm: number | null) => {
      const adapted = tinyAdapted();
      const before = numbersOf(adapted.parameters());
      const preconditioner = prefixPreconditioner(adapted);
      const optimizer = sgd(adapted.parameters(), { learningRate: 1 });
      const { gradNorm } = await trainStep(adapted.atRank(2), tinyBatch(), optimizer, {
        preconditioner,
        maxGradNorm,
      });
      const changes = numbersOf(adapted.parameters()).map((values, p) =>
        values.map((value, i) => value - before[p][i]),
      );
      return { gradNorm, changes };
    };
    const free = await clippedTo(null);
    const clipped = await clippedTo(free.gradNorm / 4);
    free.changes.forEach((change, p) => {
      expectNear(
        clipped.changes[p],
        change.map((value) => value / 4),
        1e-4,
      );
    });
  });

  it('refuses a damping of 0', () => {
    expect(() => prefixPreconditioner(tinyAdapted(), { damping: 0 })).toThrow(
      /The damping must be a number greater than 0 \(got 0\)/,
    );
  });
});
