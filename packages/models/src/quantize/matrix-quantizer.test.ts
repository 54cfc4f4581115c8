import { createHostBackend, hostData, rowsOf } from '@qdylora/contract';
import { arraysOf } from '@qdylora/quant';
import { normalView } from '@qdylora/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matrixQuantizer } from './matrix-quantizer.ts';
import { quantizeOn } from './quantize-on.ts';

const backend = createHostBackend();
const { memory } = backend;

describe('a matrix that is quantized stretch after stretch', () => {
  it('counts the numbers of a list, and is refused before all have come', async () => {
    const values = normalView(1, 'w', [4 * 64]);
    const quantizer = matrixQuantizer(backend, [4, 64], { kind: 'nf4' });
    quantizer.add(hostData(values).slice(0, 64) as Float32Array);
    expect(quantizer.isFull).toBe(false);
    await expect(quantizer.finish()).rejects.toThrow('64 of 256 values have been added');
    quantizer.add(hostData(values).slice(64) as Float32Array);
    const whole = await quantizeOn(backend, values, [4, 64], { kind: 'nf4' });
    const pieces = await quantizer.finish();
    expect(hostData(pieces.codes)).toEqual(hostData(whole.codes));
    for (const view of [...arraysOf(pieces), ...arraysOf(whole)]) memory.release(view);
  });

  it('is the matrix that is quantized at once, wherever it is cut between blocks', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 90 }),
        fc.boolean(),
        fc.array(fc.nat(), { maxLength: 4 }),
        fc.nat(),
        async (rows, columns, doubleQuantization, cuts, seed) => {
          const values = normalView(seed, 'w', [rows * columns]);
          const shape = [rows, columns] as const;
          const blocks = Math.ceil((rows * columns) / 64);
          const options = { kind: 'nf4', doubleQuantization } as const;
          const ends = [
            ...new Set([
              ...cuts.map((cut) => Math.min(rows * columns, (cut % (blocks + 1)) * 64)),
              rows * columns,
            ]),
          ].sort((a, b) => a - b);
          const quantizer = matrixQuantizer(backend, shape, options);
          ends.forEach((end, i) => {
            expect(quantizer.isFull).toBe(false);
            quantizer.add(rowsOf(values, ends[i - 1] ?? 0, end));
          });
          expect(quantizer.isFull).toBe(true);
          const [pieces, whole] = [
            await quantizer.finish(),
            await quantizeOn(backend, values, shape, options),
          ];
          expect(arraysOf(pieces).map((view) => hostData(view))).toEqual(
            arraysOf(whole).map((view) => hostData(view)),
          );
          expect(pieces.doubleQuantized?.offset).toBe(whole.doubleQuantized?.offset);
          for (const view of [...arraysOf(pieces), ...arraysOf(whole)]) memory.release(view);
        },
      ),
      { numRuns: 40 },
    );
    expect(memory.usage().liveBytes).toBe(0);
  });

  it('is 4 bits of a kind: `none` is refused', () => {
    expect(() => matrixQuantizer(backend, [2, 64], { kind: 'none' as 'nf4' })).toThrow(/kind.*none/);
    expect(memory.usage().liveBytes).toBe(0);
  });

  it('leaves nothing in memory where a value is not finite and it is cancelled', () => {
    const quantizer = matrixQuantizer(backend, [2, 64], { kind: 'nf4' });
    expect(() => quantizer.add(Float32Array.of(1, NaN, ...new Array<number>(126).fill(0)))).toThrow(/NaN/);
    quantizer.cancel();
    expect(memory.usage().liveBytes).toBe(0);
  });
});
