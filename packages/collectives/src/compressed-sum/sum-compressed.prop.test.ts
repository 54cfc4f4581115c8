import { createRng } from '@qdylora/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { localWorld } from '../testing/local-world.ts';
import { codecOf, SENT_FORMATS, type SentFormat } from './sent-codes.ts';
import { sumCompressed } from './sum-compressed.ts';

const anyFormat = fc.constantFrom(...SENT_FORMATS);

/** Half the distance of two neighbouring numbers of the format, for numbers up to `largest`. */
const quantumOf = (format: SentFormat, largest: number): number =>
  format === 'bf16' ? largest * 2 ** -8 : largest / 254;

const largestOf = (values: Iterable<number>): number =>
  [...values].reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);

/** float32 rounding of the additions beside the format's, in units of the largest number. */
const ROUNDING = 8 * 2 ** -24;

describe('numbers in fewer bytes', () => {
  it('differ from the ones that are sent by at most half a step of the format', () => {
    fc.assert(
      fc.property(
        anyFormat,
        fc.float32Array({ minLength: 1, maxLength: 700, size: 'max', noNaN: true, noDefaultInfinity: true }),
        (format, values) => {
          const small = values.map((value) => value * 1e-3); // bf16 rounds the largest float32 to infinity
          const codec = codecOf(format);
          const bytes = new Uint8Array(codec.byteLength(small.length));
          const decoded = new Float32Array(small.length);
          codec.encode(small, bytes);
          codec.decode(bytes, decoded);
          small.forEach((value, i) => {
            const block = small.subarray(256 * Math.floor(i / 256), 256 * (1 + Math.floor(i / 256)));
            const largest = format === 'bf16' ? Math.abs(value) : largestOf(block);
            // the quotient by the scale and the product with it are rounded to float32
            const rounding = format === 'bf16' ? 0 : largest * 2 ** -23;
            // below 2^-126 numbers have fewer bits, and so has a scale
            const bound = quantumOf(format, largest) * (1 + 2 ** -20) + rounding + 127 * 2 ** -126;
            expect(Math.abs(decoded[i] - value)).toBeLessThanOrEqual(bound);
          });
        },
      ),
    );
  });
});

describe('a compressed sum', () => {
  it('over many steps is the exact one, but for one quantum a worker in the residuals', async () => {
    await fc.assert(
      fc.asyncProperty(
        anyFormat,
        fc.integer({ min: 2, max: 5 }),
        fc.integer({ min: 1, max: 600 }),
        fc.integer({ min: 1, max: 12 }),
        fc.nat(),
        async (format, size, length, steps, seed) => {
          const rng = createRng(seed);
          const valueAt = (worker: number, step: number, i: number): number =>
            rng.named(`${worker}-${step}`).normal(i) * 10 ** ((i % 5) - 2);
          const worlds = localWorld(size);
          const residuals = worlds.map(() => new Float32Array(length));
          const totals = new Float64Array(length);
          const exact = new Float64Array(length);
          let largest = 0;
          for (let step = 0; step < steps; step++) {
            const arrays = worlds.map((_, worker) =>
              Float32Array.from({ length }, (__, i) => valueAt(worker, step, i)),
            );
            for (const values of arrays) values.forEach((value, i) => (exact[i] += value));
            largest = Math.max(largest, ...arrays.map(largestOf));
            await Promise.all(
              worlds.map((world, worker) =>
                sumCompressed(world, { values: arrays[worker], residual: residuals[worker], format }),
              ),
            );
            for (const values of arrays) expect(values).toEqual(arrays[0]);
            arrays[0].forEach((value, i) => (totals[i] += value));
          }
          // what a worker sends is at most its number and its residual; a sum adds `size` of them
          const most = size * largest * 1.1;
          const quantum = quantumOf(format, most);
          residuals.forEach((residual) => {
            expect(largestOf(residual)).toBeLessThanOrEqual(2 * quantum);
          });
          totals.forEach((total, i) => {
            const rest = residuals.reduce((sum, residual) => sum + residual[i], 0);
            const bound = steps * size * ROUNDING * most;
            expect(Math.abs(total + rest - exact[i]), `element ${i}`).toBeLessThanOrEqual(bound);
          });
        },
      ),
      { numRuns: 40 },
    );
  });

  it.each(SENT_FORMATS)('in %s passes on that a number is not finite, and forgets it', async (format) => {
    for (const bad of [NaN, Infinity, -Infinity]) {
      const worlds = localWorld(3);
      const residuals = worlds.map(() => new Float32Array(4));
      const add = async (first: number): Promise<Float32Array[]> => {
        const arrays = worlds.map(({ rank }) => Float32Array.of(rank === 1 ? first : 1, 1, 1, 1));
        await Promise.all(
          worlds.map((world, worker) =>
            sumCompressed(world, { values: arrays[worker], residual: residuals[worker], format }),
          ),
        );
        return arrays;
      };
      for (const values of await add(bad)) expect(values[0]).not.toSatisfy(Number.isFinite);
      for (const values of await add(1)) expect(values[0]).toBeCloseTo(3, 5);
    }
  });
});
